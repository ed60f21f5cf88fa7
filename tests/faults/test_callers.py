"""Disconnecting callers, a killed web server, a hanging Redis, and workers of two versions."""

import json
import signal
import socket
import threading
import time
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from django.contrib.auth.models import User
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from executor.domain.states import STATUS_OF_LETTER
from executor.models import Batch
from tests.support.batches import assert_consistent, frames_of, item, run, submit
from tests.support.processes import RunningWeb
from tests.support.waiting import eventually
from tests.web.test_socket import cookie

# --- F26: a caller hangs up ---------------------------------------------------------------------------------


@pytest.fixture
def hang_up(live_server_url, api_token):
    """Send a part of a request and disconnect without reading the answer."""

    def send(method: str, path: str, body: bytes = b"", part: float = 1.0) -> None:
        host, port = urlsplit(live_server_url).netloc.split(":")
        head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {api_token}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.create_connection((host, int(port))) as line:
            line.sendall(head.encode() + body[: int(len(body) * part)])

    return send


@pytest.fixture
def api(live_server_url, api_token):
    with httpx.Client(base_url=live_server_url, headers={"Authorization": f"Bearer {api_token}"}, timeout=30) as client:
        yield client


CALL = {"tasks": [item("ok") for _ in range(2000)], "name": "cut", "idempotency_key": "cut"}


def test_incomplete_request_stores_nothing(hang_up, api):
    hang_up("POST", "/api/add_batch", json.dumps(CALL).encode(), part=0.7)
    answer = api.post("/api/add_batch", json=CALL).json()["data"]
    assert answer["count"] == 2000 and Batch.objects.count() == 1
    assert_consistent(answer["batch_id"])


def test_call_of_a_disconnected_caller_is_done_once(hang_up, api):
    hang_up("POST", "/api/add_batch", json.dumps(CALL).encode())
    answer = api.post("/api/add_batch", json=CALL).json()["data"]
    assert Batch.objects.get(name="cut").tasks.count() == 2000
    assert str(Batch.objects.get(name="cut").pk) == answer["batch_id"]


def test_disconnected_long_polls_do_not_block_calls(hang_up, api):
    batch = submit(item("ok"), start=False)
    for _ in range(30):
        hang_up("GET", f"/api/batches/{batch.id}/events?after={batch.status()['seq']}&wait=30")
    began = time.monotonic()
    assert api.get(f"/api/batches/{batch.id}").status_code == 200
    assert time.monotonic() - began < 15  # none of the requests that wait up to 30 s holds it up


# --- F10: the web server is killed --------------------------------------------------------------------------


class Client(threading.Thread):
    """A page that applies the frames of its socket, and reconnects with its position after a disconnect."""

    def __init__(self, where: list[str], batch: str, headers: dict):
        super().__init__(daemon=True)
        self.where, self.batch, self.headers = where, batch, headers
        self.seq, self.now, self.cuts, self.holes = None, {}, 0, 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            try:
                self._watch()
            except (ConnectionClosed, OSError, TimeoutError):
                self.cuts += 1
                self.over.wait(0.1)

    def _watch(self) -> None:
        place = "" if self.seq is None else f"?after={self.seq}"
        site = self.where[0]
        address = f"{site.replace('http', 'ws')}/ws/batches/{self.batch}{place}"
        with connect(address, additional_headers=self.headers, origin=site, open_timeout=5, close_timeout=0.5) as line:
            while not self.over.is_set():
                message = json.loads(line.recv(10))
                if message["t"] == "frames":
                    self.holes += message["s0"] != (self.seq or 0) + 1
                    self.now.update({change[0]: change[1] for change in message["changes"]})
                self.seq = message.get("seq", self.seq)
                line.send(json.dumps({"ack": self.seq}))


def test_pages_catch_up_after_a_kill_of_the_web_server(shared_db, operator, child_environment, start, tmp_path):
    web = RunningWeb(env=child_environment, folder=tmp_path)
    web.wait_until_answering()
    batch = submit(*[item("nap", seconds=0.05) for _ in range(120)], start=False)
    headers = {"Cookie": cookie(User.objects.get(username="operator"))}
    where = [web.url]
    pages = [Client(where, batch.id, headers) for _ in range(50)]
    try:
        for page in pages:
            page.start()
        eventually(lambda: all(page.seq is not None for page in pages))
        start(concurrency=8)
        run("start", batch=batch.id, max_concurrent=4)
        eventually(lambda: batch.counts()["completed"] > 20)
        web.process.send_signal(signal.SIGKILL)
        web.process.wait(60)
        web = RunningWeb(env=child_environment, folder=tmp_path)
        web.wait_until_answering()
        where[0] = web.url
        end = batch.wait().status()["seq"]
        eventually(lambda: all(page.seq == end for page in pages))
    finally:
        for page in pages:
            page.over.set()
        web.end()
        for page in pages:
            page.join(60)
    assert all(page.cuts for page in pages) and not any(page.holes for page in pages)
    expected = {task["number"]: task["status"] for task in batch.tasks()}
    for page in pages:
        seen = {number: str(STATUS_OF_LETTER[letter]) for number, letter in page.now.items()}
        assert {**{number: "queued" for number in expected}, **seen} == expected
    assert [frame["seq"] for frame in frames_of(batch.id)] == list(range(1, end + 1))


# --- F27: pages that never read -----------------------------------------------------------------------------

DEAF = 20


def deaf_page(url: str, batch_id: str, cookie: str) -> socket.socket:
    """Subscribe to the stream of a batch and read none of it."""
    host, port = urlsplit(url).netloc.split(":")
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.connect((host, int(port)))
    line.sendall(
        f"GET /ws/batches/{batch_id} HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: {url}\r\nCookie: {cookie}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    return line


def test_pages_that_never_read_use_bounded_memory(shared_db, operator, child_environment, start, tmp_path):
    web = RunningWeb(env=child_environment, folder=tmp_path)
    web.wait_until_answering()
    name = cookie(User.objects.get(username="operator"))
    page = Client([web.url], "", {"Cookie": name})
    pages = []
    try:
        memory = psutil.Process(web.process.pid).memory_info
        page.batch = submit(*[item("ok")] * 100, start=True).id  # what the first page of all costs is not theirs
        page.start()
        start(concurrency=20)
        eventually(lambda: page.now and set(page.now.values()) == {"c"})
        batch = submit(*[item("ok")] * 30_000, start=False)
        before = memory().rss
        pages = [deaf_page(web.url, batch.id, name) for _ in range(DEAF)]
        run("start", batch=batch.id, max_concurrent=500)
        batch.wait(timeout=180)
        assert (memory().rss - before) / DEAF < 1_000_000  # 0.25 MB; 2 MB if all changes were kept for them
    finally:
        page.over.set()
        for line in pages:
            line.close()
        web.end()
        page.join(60)


def test_export_waits_for_its_reader(shared_db, operator, child_environment, tmp_path):
    count = 40_000
    batch = submit(*[item("ok", task_name="n" * 200)] * count, start=False)
    web = RunningWeb(env=child_environment, folder=tmp_path)
    web.wait_until_answering()
    process = psutil.Process(web.process.pid)
    host, port = urlsplit(web.url).netloc.split(":")
    name = cookie(User.objects.get(username="operator"))
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    try:
        line.connect((host, int(port)))
        before = process.memory_info().rss
        line.sendall(
            f"GET /api/batches/{batch.id}/export?format=jsonl HTTP/1.0\r\nHost: {host}:{port}\r\n"
            f"Cookie: {name}\r\n\r\n".encode()
        )
        stream = line.makefile("rb")
        assert b" 200 " in stream.readline()  # and now nothing more is read
        used: list[float] = []

        def rests() -> bool:
            used.append(process.cpu_times().user)
            return len(used) > 5 and used[-5] == used[-1]

        eventually(rests, every=0.1)
        assert process.memory_info().rss - before < 10_000_000  # the whole is 23 MB
        assert sum(b'"number"' in row for row in stream) == count
    finally:
        line.close()
        web.end()


# --- F7: Redis hangs ----------------------------------------------------------------------------------------


def test_calls_are_answered_while_redis_hangs(api, surroundings):
    times = []
    surroundings.valkey_process.send_signal(signal.SIGSTOP)
    try:
        for _ in range(6):
            began = time.monotonic()
            answer = api.post("/api/add_batch", json={"tasks": [item("ok")], "start": True})
            times.append(time.monotonic() - began)
            assert answer.status_code == 200 and answer.json()["data"]["dispatch"] == "delayed"
        began = time.monotonic()
        assert api.get("/readyz").json()["status"] == "degraded"
        times.append(time.monotonic() - began)
    finally:
        surroundings.valkey_process.send_signal(signal.SIGCONT)
    # The first call waits for the timeout; the following ones do not try again for some seconds.
    assert sorted(times)[len(times) // 2] < times[0] / 2, times


# --- F30: two versions --------------------------------------------------------------------------------------


def test_task_unknown_to_an_old_worker_runs_on_a_newer_one(start):
    old = start(env={"BATCH_APPS": ""})
    batch = submit(item("ok", max_retries=0), item("simulate", duration=0))
    eventually(lambda: batch.tasks()[0]["attempt"] and batch.tasks()[0]["status"] == "queued", describe=batch.describe)
    assert batch.task(1)["attempts"][0]["outcome"] == "released" and batch.tasks()[0]["retry_count"] == 0
    eventually(lambda: batch.statuses()[1] == "completed")
    new = start()
    old.terminate(timeout=None)
    tasks = batch.wait().tasks()
    assert [(task["status"], task["retry_count"]) for task in tasks] == [("completed", 0)] * 2
    assert tasks[0]["worker"] == new.worker_name
    assert_consistent(batch.id)


def test_rolling_restart_charges_no_task(start):
    batch = submit(*[item("nap", seconds=0.1, max_retries=0) for _ in range(150)], max_concurrent=6)
    workers = [start() for _ in range(2)]
    for at in range(2):
        fresh = start()
        assert workers[at].terminate() == 0
        workers.append(fresh)
    tasks = batch.wait().tasks()
    assert {(task["status"], task["retry_count"]) for task in tasks} == {("completed", 0)}
    assert_consistent(batch.id)
