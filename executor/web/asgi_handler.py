"""The ASGI handler: each request runs from its first middleware to its response in one thread of a pool.

Django's own handler changes threads in every middleware, and opens a database connection for every request.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor, Future
from queue import SimpleQueue

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.db import close_old_connections, connections
from django.http import HttpRequest, HttpResponseBase

from executor.db.dialect import set_idle_in_transaction_timeout

TRANSACTION_TIMEOUT = 60.0  # seconds that a request's transaction may be idle
MAX_IDLE_THREADS = 4


class RequestThreadPool(Executor):
    """Threads that keep their database connections between calls.

    The number of busy threads has no limit, because some requests wait for events for a minute. At most `max_idle`
    threads stay for later calls; the one used last is the first to be used again.
    """

    def __init__(self, max_idle: int):
        self._max_idle = max_idle
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
        """End the idle threads now, and each busy thread after its call; never waits."""
        with self._lock:
            idle, self._idle, self._max_idle = self._idle, [], 0
        for inbox in idle:
            inbox.put((Future(), lambda: None, (), {}))

    def _work(self, inbox: SimpleQueue) -> None:
        set_idle_in_transaction_timeout(TRANSACTION_TIMEOUT)
        stays = True
        while stays:
            future, function, args, kwargs = inbox.get()
            if future.set_running_or_notify_cancel():
                try:
                    result = function(*args, **kwargs)
                except BaseException as error:
                    future.set_exception(error)
                else:
                    future.set_result(result)
            del future, function, args, kwargs  # an idle thread must not keep a request's body alive
            with self._lock:
                if stays := len(self._idle) < self._max_idle:
                    self._idle.append(inbox)
        connections.close_all()


class ThreadedASGIHandler(ASGIHandler):
    """Django's ASGI handler, with the middleware and views of a WSGI server in a thread pool."""

    def __init__(self, max_idle_threads: int = MAX_IDLE_THREADS):
        self._threads = RequestThreadPool(max_idle_threads)
        super().__init__()

    def close(self) -> None:
        """Close the idle threads and their database connections."""
        self._threads.shutdown()

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def run_get_response(self, request: HttpRequest) -> HttpResponseBase:
        response = await self._in_thread(self._respond, request)
        if response.streaming and not response.is_async:
            response.block_size = self.chunk_size
            response.streaming_content = self._chunks(iter(response.streaming_content))
        return response

    def _respond(self, request: HttpRequest) -> HttpResponseBase:
        close_old_connections()  # Django's signals do it in another thread
        try:
            return self.get_response(request)
        finally:
            close_old_connections()

    async def _chunks(self, content: Iterator[bytes]) -> AsyncIterator[bytes]:
        """Yield a file in chunks: the base class would read all of it before it sends the first."""
        while (chunk := await self._in_thread(next, content, None)) is not None:
            yield chunk

    async def _in_thread(self, function: Callable, *args):
        in_thread = sync_to_async(function, thread_sensitive=False, executor=self._threads)  # type: ignore[call-overload]
        return await in_thread(*args)
