"""Requests and their threads."""

import asyncio
import threading
from concurrent.futures import wait

import orjson
import pytest

from executor.access import create_token
from executor.web.asgi_handler import Handler, KeptThreads
from tests.support.waiting import eventually


def request_threads() -> int:
    return sum(thread.name == "request" for thread in threading.enumerate())


def test_every_call_has_a_thread_and_few_are_kept():
    before = request_threads()
    threads, together = KeptThreads(2), threading.Barrier(7)
    calls = [threads.submit(together.wait) for _ in range(6)]
    assert request_threads() == before + 6
    together.wait(10)
    assert not wait(calls, 10).not_done
    eventually(lambda: request_threads() == before + 2)
    threads.shutdown()
    eventually(lambda: request_threads() == before)


def test_the_next_call_takes_the_thread_that_was_used_last():
    threads = KeptThreads(2)
    first = threads.submit(threading.get_ident).result(10)
    eventually(lambda: threads.submit(threading.get_ident).result(10) == first)


def test_what_a_call_raises_reaches_the_caller_and_the_thread_lives_on():
    threads = KeptThreads(1)
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda: 1 / 0).result(10)
    assert threads.submit(lambda: 7).result(10) == 7


def test_a_caller_who_leaves_ends_the_wait(shared_db):
    before = request_threads()
    text = create_token("waits", ["submit", "read", "control"])[1]
    handler = Handler()

    async def ask(path: str, body: dict, leaves: asyncio.Event | None = None) -> list[dict]:
        sent = []
        messages = [{"type": "http.request", "body": orjson.dumps(body)}]

        async def receive():
            if messages:
                return messages.pop()
            await (leaves or asyncio.Event()).wait()
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

    async def story():
        added = await ask("/api/add", {"function": "simulate"})
        assert added[0]["status"] == 200
        leaves = asyncio.Event()
        waiting = asyncio.create_task(ask("/api/wait", {"timeout": 60, "until": "change"}, leaves))
        done, _ = await asyncio.wait({waiting}, timeout=0.5)
        assert not done
        leaves.set()
        assert await asyncio.wait_for(waiting, 10) == []

    asyncio.run(story())
    handler.close()
    eventually(lambda: request_threads() == before)
