"""Limits of the web server: request bodies over BATCH_MAX_BODY, and responses to clients that do not read."""

import json
import socket
from urllib.parse import urlsplit

import psutil
import pytest

from tests.support.processes import RunningWeb
from tests.support.waiting import eventually

LIMIT = 200_000  # bytes
STREAMED = 60_000_000  # bytes, of tests/web/streaming_application.py


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
    """Send a raw request and return the response, until it is complete or the connection is closed."""
    where = urlsplit(web.url)
    with socket.create_connection((where.hostname, where.port), timeout=10) as connection:
        connection.sendall(f"POST /api/add HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n\r\n".encode())
        for piece in pieces:
            try:
                connection.sendall(piece)
            except OSError:
                if not tolerate_reset:
                    raise
                break
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
            if b"\r\n\r\n" in answer and b"Connection: close" not in answer:
                break
        return answer


def chunked(total: int, size: int = 50_000):
    for _ in range(total // size):
        yield b"%x\r\n%s\r\n" % (size, b"x" * size)
    yield b"0\r\n\r\n"


def test_announced_body_over_the_limit_is_refused_with_a_problem_document(small_web):
    answer = send(small_web, f"Content-Length: {LIMIT + 1}", [b"x" * (LIMIT + 1)])
    head, _, body = answer.partition(b"\r\n\r\n")
    problem = json.loads(body)
    assert head.startswith(b"HTTP/1.1 413 ") and b"application/problem+json" in head
    assert (problem["code"], problem["status"]) == ("too_large", 413) and problem["fix"]


def test_announced_body_is_refused_before_it_is_sent(small_web):
    assert send(small_web, "Content-Length: 5000000000", []).startswith(b"HTTP/1.1 413 ")


def test_chunked_body_is_refused_at_the_limit(small_web):
    answer = send(small_web, "Transfer-Encoding: chunked", chunked(LIMIT * 3))
    assert answer.startswith(b"HTTP/1.1 413 ") and answer.count(b"HTTP/1.1") == 1


def test_body_at_the_limit_reaches_the_application(small_web):
    for head, pieces in (
        (f"Content-Length: {LIMIT}", [b"x" * LIMIT]),
        ("Transfer-Encoding: chunked", chunked(LIMIT)),
    ):
        status = send(small_web, f"{head}\r\nConnection: close", pieces).split()[1]
        assert status in (b"401", b"403"), status  # the application asks for credentials


def test_endless_body_is_cut_off_and_uses_no_memory(small_web):
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


def test_django_refuses_large_bodies_with_the_same_answer_under_other_servers(client, api_token, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    answer = client.post(
        "/api/add", "x" * 11, content_type="application/json", headers={"Authorization": f"Bearer {api_token}"}
    )
    assert answer.status_code == 413 and answer.json()["code"] == "too_large"


@pytest.fixture
def streaming(surroundings, tmp_path):
    """Return Daphne with an application that streams 60 MB, and a client that has sent its request."""
    web = RunningWeb("tests.web.streaming_application:application", env=surroundings.environment, folder=tmp_path)
    try:
        web.wait_until_answering()
        site = urlsplit(web.url)
        with socket.create_connection((site.hostname, site.port), timeout=30) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            web.wait_until(lambda: "sent 1\n" in web.log, timeout=30, what="the response begins")
            yield web, client
    finally:
        web.end()


def test_response_waits_for_a_client_that_does_not_read(streaming):
    web, client = streaming
    with pytest.raises(AssertionError):
        eventually(lambda: "finished" in web.log, timeout=2)  # all of it in memory takes a tenth of this
    received = 0
    while chunk := client.recv(1 << 20):
        received += len(chunk)
    assert received > STREAMED
    eventually(lambda: "finished" in web.log)


def test_response_ends_when_the_waiting_client_disconnects(streaming):
    web, client = streaming
    client.close()
    web.wait_until(lambda: "finished" in web.log, timeout=30, what="the application ends")
