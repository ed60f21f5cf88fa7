"""The ASGI handler and its thread pool."""

import asyncio
import threading
from concurrent.futures import wait

import orjson
import pytest

from executor.access import create_token
from executor.web.asgi_handler import RequestThreadPool, ThreadedASGIHandler
from tests.support.waiting import eventually


def request_threads() -> int:
    return sum(thread.name == "request" for thread in threading.enumerate())


def test_each_concurrent_call_gets_a_thread_and_few_stay():
    before = request_threads()
    threads, together = RequestThreadPool(2), threading.Barrier(7)
    calls = [threads.submit(together.wait) for _ in range(6)]
    assert request_threads() == before + 6
    together.wait(10)
    assert not wait(calls, 10).not_done
    eventually(lambda: request_threads() == before + 2)
    threads.shutdown()
    eventually(lambda: request_threads() == before)


def test_next_call_uses_the_thread_used_last():
    threads = RequestThreadPool(2)
    first = threads.submit(threading.get_ident).result(10)
    eventually(lambda: threads.submit(threading.get_ident).result(10) == first)


def test_exception_reaches_the_caller_and_the_thread_survives():
    threads = RequestThreadPool(1)
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda: 1 / 0).result(10)
    assert threads.submit(lambda: 7).result(10) == 7


def test_disconnect_cancels_a_waiting_request(shared_db):
    before = request_threads()
    text = create_token("waits", ["submit", "read", "control"])[1]
    handler = ThreadedASGIHandler()

    async def ask(path: str, body: dict, disconnects: asyncio.Event | None = None) -> list[dict]:
        sent = []
        messages = [{"type": "http.request", "body": orjson.dumps(body)}]

        async def receive():
            if messages:
                return messages.pop()
            await (disconnects or asyncio.Event()).wait()
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        headers = [
            (b"host", b"127.0.0.1"),
            (b"authorization", f"Bearer {text}".encode()),
            (b"content-type", b"application/json"),
        ]
        scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b""}
        await handler(scope, receive, send)
        return sent

    async def scenario():
        added = await ask("/api/add", {"function": "simulate"})
        assert added[0]["status"] == 200
        disconnects = asyncio.Event()
        waiting = asyncio.create_task(ask("/api/wait", {"timeout": 60, "until": "change"}, disconnects))
        done, _ = await asyncio.wait({waiting}, timeout=0.5)
        assert not done
        disconnects.set()
        assert await asyncio.wait_for(waiting, 10) == []

    asyncio.run(scenario())
    handler.close()
    eventually(lambda: request_threads() == before)
