"""How HTTP requests reach Django: each in one thread from beginning to end, most of them in a thread that is kept.

Django's own ASGI handler changes threads for every middleware, and gives each request a new thread and with it a new
database connection. All our views are plain functions: run in one go, with a connection that is open already, they
answer in a third of the time.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor, Future
from queue import SimpleQueue

from asgiref.sync import sync_to_async
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.db import connections
from django.http import HttpResponseBase
from django.urls import set_script_prefix

from executor.db.dialect import end_frozen_transactions

FROZEN = 60.0  # seconds for which a request's transaction may stand still
KEPT = 4  # threads that wait for the next request, with their connections


class KeptThreads(Executor):
    """A thread for every call that runs at the same time, however many. Afterwards up to `kept` of them wait for the
    next call, the last one used goes first; the others end, and close their connections."""

    def __init__(self, kept: int):
        self._kept = kept
        self._idle: list[SimpleQueue] = []
        self._lock = threading.Lock()

    def submit(self, function: Callable, /, *args, **kwargs) -> Future:
        future: Future = Future()
        with self._lock:
            inbox = self._idle.pop() if self._idle else None
        if inbox is None:
            inbox = SimpleQueue()
            threading.Thread(target=self._work, args=(inbox,), name="request", daemon=True).start()
        inbox.put((future, function, args, kwargs))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the waiting threads end, and every other one when it is through; nobody waits for them."""
        with self._lock:
            idle, self._idle, self._kept = self._idle, [], 0
        for inbox in idle:
            inbox.put((Future(), lambda: None, (), {}))

    def _work(self, inbox: SimpleQueue) -> None:
        end_frozen_transactions(FROZEN)
        waits = True
        while waits:
            future, function, args, kwargs = inbox.get()
            if future.set_running_or_notify_cancel():
                try:
                    result = function(*args, **kwargs)
                except BaseException as error:
                    future.set_exception(error)
                else:
                    future.set_result(result)
            del future, function, args, kwargs  # a waiting thread holds on to nobody's body
            with self._lock:
                if waits := len(self._idle) < self._kept:
                    self._idle.append(inbox)
        connections.close_all()


class Handler(ASGIHandler):
    """Django as an ASGI application."""

    def __init__(self, kept: int = KEPT):
        super().__init__()
        self._threads = KeptThreads(kept)

    def close(self) -> None:
        """Serve no more: the kept connections are closed."""
        self._threads.shutdown()

    def load_middleware(self, is_async: bool = False) -> None:
        """The chain as a WSGI server would have it."""
        super().load_middleware(is_async=False)

    async def __call__(self, scope, receive, send) -> None:
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        with body:
            answering = asyncio.create_task(self._answer(scope, body, send))
            leaving = asyncio.create_task(self.listen_for_disconnect(receive))
            try:
                await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                # Whoever has left needs no answer: a view that waits, or a stream, ends.
                answering.cancel()
                leaving.cancel()
            failure, _ = await asyncio.gather(answering, leaving, return_exceptions=True)
        if isinstance(failure, Exception):
            raise failure

    async def _answer(self, scope, body, send) -> None:
        response = await self._in_thread(self._respond, scope, body)
        if not response.streaming:
            return await self.send_response(response, send)
        try:
            if not response.is_async:
                response.block_size = self.chunk_size
                response.streaming_content = self._pieces(iter(response.streaming_content))
            await self.send_response(response, send)
        finally:
            await self._in_thread(response.close)

    def _respond(self, scope, body) -> HttpResponseBase:
        """Everything from the request to its response, in one thread."""
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=self.__class__, scope=scope)
        request, refusal = self.create_request(scope, body)
        response = refusal if request is None else self.get_response(request)
        response._handler_class = self.__class__
        if not response.streaming:
            response.close()  # its content stays
        return response

    async def _pieces(self, content: Iterator[bytes]) -> AsyncIterator[bytes]:
        """A file piece by piece: Django would read all of it before it sends the first."""
        while (piece := await self._in_thread(next, content, None)) is not None:
            yield piece

    async def _in_thread(self, function: Callable, *args):
        return await sync_to_async(function, thread_sensitive=False, executor=self._threads)(*args)
