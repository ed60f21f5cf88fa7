"""A body that is too large is refused before anything of it is kept."""

import asyncio
import json
import socket
from urllib.parse import urlsplit

import pytest

from executor.web.body_limit import BodyLimit
from tests.support.processes import RunningWeb

LIMIT = 200_000


# --- around any application -----------------------------------------------------------------------------


def ask(chunks: list[bytes], headers=(), limit: int = 10):
    """Send a body; gives the answer's status, its body, and what the application saw."""
    sent, seen = [], []
    messages = [
        {"type": "http.request", "body": chunk, "more_body": number < len(chunks)}
        for number, chunk in enumerate(chunks, 1)
    ]

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    async def application(scope, receive, send):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            seen.append(message["body"])
            if not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"thanks"})

    asyncio.run(BodyLimit(application, limit)({"type": "http", "headers": list(headers)}, receive, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent), b"".join(seen)


def test_a_body_at_the_limit_passes():
    assert ask([b"12345", b"67890"], [(b"content-length", b"10")]) == (200, b"thanks", b"1234567890")


def test_an_announced_body_is_refused_unseen():
    status, body, seen = ask([b"12345", b"678901"], [(b"content-length", b"11")])
    assert (status, seen) == (413, b"")
    problem = json.loads(body)
    assert (problem["code"], problem["status"]) == ("too_large", 413) and problem["fix"]


def test_an_unannounced_body_is_cut_at_the_limit():
    status, body, seen = ask([b"12345", b"67890", b"1", b"never read"])
    assert (status, seen) == (413, b"1234567890")
    assert json.loads(body)["code"] == "too_large"


def test_other_traffic_passes():
    async def application(scope, receive, send):
        scope["seen"] = True

    scope = {"type": "websocket"}
    asyncio.run(BodyLimit(application, 1)(scope, None, None))
    assert scope["seen"]


# --- in Daphne --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_web(django_db_setup, surroundings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    (folder / "spool").mkdir()
    environment = {**surroundings.environment, "BATCH_MAX_BODY": str(LIMIT), "TMPDIR": str(folder / "spool")}
    web = RunningWeb(env=environment, folder=folder)
    try:
        web.wait_until_answering()
        yield web
    finally:
        web.end()


def send(web, head: str, pieces, tolerate_reset: bool = False) -> bytes:
    """Speak HTTP by hand; gives everything that the server answers until it closes or is quiet."""
    where = urlsplit(web.url)
    with socket.create_connection((where.hostname, where.port), timeout=10) as line:
        line.sendall(f"POST /api/add HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n\r\n".encode())
        for piece in pieces:
            try:
                line.sendall(piece)
            except OSError:
                if not tolerate_reset:
                    raise
                break
        answer = b""
        while chunk := line.recv(65536):
            answer += chunk
            if b"\r\n\r\n" in answer and b"Connection: close" not in answer:
                break
        return answer


def chunked(total: int, size: int = 50_000):
    for _ in range(total // size):
        yield b"%x\r\n%s\r\n" % (size, b"x" * size)
    yield b"0\r\n\r\n"


def test_daphne_refuses_an_announced_body(small_web):
    answer = send(small_web, f"Content-Length: {LIMIT + 1}", [b"x" * (LIMIT + 1)])
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ") and b"application/problem+json" in head
    assert json.loads(body)["code"] == "too_large"


def test_daphne_refuses_before_the_body_is_sent(small_web):
    assert send(small_web, "Content-Length: 5000000000", []).startswith(b"HTTP/1.1 413 ")


def test_daphne_refuses_a_stream_that_grows_too_long(small_web):
    answer = send(small_web, "Transfer-Encoding: chunked", chunked(LIMIT * 3))
    assert answer.startswith(b"HTTP/1.1 413 ") and answer.count(b"HTTP/1.1") == 1


def test_daphne_takes_what_is_within_the_limit(small_web):
    for head, pieces in (
        (f"Content-Length: {LIMIT}", [b"x" * LIMIT]),
        ("Transfer-Encoding: chunked", chunked(LIMIT)),
    ):
        status = send(small_web, f"{head}\r\nConnection: close", pieces).split()[1]
        assert status in (b"401", b"403"), status  # it came as far as the question who asks


def test_an_endless_stream_is_cut_off_and_keeps_nothing(small_web):
    import psutil

    def endless():
        while True:
            yield from chunked(500_000_000)

    before = psutil.Process(small_web.pid).memory_info().rss
    send_error = None
    try:
        send(small_web, "Transfer-Encoding: chunked", endless(), tolerate_reset=True)
    except ConnectionError as error:
        send_error = error
    after = psutil.Process(small_web.pid).memory_info().rss
    assert after - before < 30_000_000, send_error
    assert small_web.alive
    assert send(small_web, "Content-Length: 5000000000", []).startswith(b"HTTP/1.1 413 ")
