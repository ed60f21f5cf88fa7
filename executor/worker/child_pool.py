"""Child processes for plain functions: a call can be killed at any moment, and its child is replaced."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import socket
import time
from collections import deque
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from typing import Any

import orjson

from executor.db.failpoints import failpoint
from executor.domain.errors import ProcessDied, TaskError
from executor.functions import TaskContext
from executor.functions.context import Sink
from executor.processes.framing import Decoder, pack

from .child import serve
from .failures import Failure

logger = logging.getLogger(__name__)

START_PAUSES = (0.05, 0.2, 0.5, 1.0)  # seconds between tries to start a child
IDLE_TIMEOUT = 30.0  # seconds after which an idle child is ended
JOIN_TIMEOUT = 1.0  # seconds to wait for the exit code of a child that closed its end


class CallFailed(TaskError):
    """The function raised in a child; kind and traceback are those of the child."""

    def __init__(self, failure: Failure):
        super().__init__(
            failure["error"],
            retryable=failure.get("retryable", True),
            retry_after=failure.get("retry_after"),
            details=failure.get("details"),
        )
        self.kind = failure["kind"]
        self.traceback = failure.get("traceback", "")


class Child(asyncio.Protocol):
    """One child process and the connection to it."""

    def __init__(self, context: ForkServerContext):
        ours, theirs = context.Pipe(duplex=True)
        self.process = context.Process(target=serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()
        self._socket = socket.socket(fileno=os.dup(ours.fileno()))
        ours.close()
        self._transport: asyncio.WriteTransport | None = None
        self._decoder = Decoder()
        self._sink: Sink | None = None
        self._answer: asyncio.Future[Any] | None = None
        self.idle_since = 0.0

    async def connect(self) -> Child:
        """Attach the connection to the running event loop."""
        self._transport, _ = await asyncio.get_running_loop().create_connection(lambda: self, sock=self._socket)
        return self

    async def call(self, request: bytes, sink: Sink) -> dict[str, Any]:
        """Send a call and return its answer; log lines and progress go to the sink until then.

        Raises ProcessDied when the child ends instead.
        """
        self._sink, self._answer = sink, asyncio.get_running_loop().create_future()
        if self._transport is not None and self.is_connected:
            self._transport.write(pack(request))
        else:
            self.connection_lost(None)
        try:
            answer: dict[str, Any] = await self._answer
            return answer
        except ConnectionError:
            await asyncio.to_thread(self.process.join, JOIN_TIMEOUT)
            code = self.process.exitcode
            how = "" if code is None else f" with signal {-code}" if code < 0 else f" with exit code {code}"
            raise ProcessDied(f"The child process that ran the function ended unexpectedly{how}.") from None
        except (TypeError, ValueError):  # the function wrote into the connection
            raise ProcessDied("The child process that ran the function sent an unreadable answer.") from None

    @property
    def is_connected(self) -> bool:
        """Whether the child has not closed its end."""
        return self._transport is not None and not self._transport.is_closing()

    def data_received(self, data: bytes) -> None:
        """Handle the messages that are complete with these bytes."""
        for body in self._decoder.feed(data):
            try:
                self._receive(orjson.loads(body))
            except (TypeError, ValueError) as error:
                self._fail(error)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the call under way: the child has ended."""
        self._fail(ConnectionResetError())

    def _receive(self, message: dict[str, Any]) -> None:
        if self._answer is None or self._answer.done() or self._sink is None:
            return  # sent by a thread that the last call has left behind
        if "log" in message:
            self._sink.log(message["log"])
        elif "progress" in message:
            done, total, text = message["progress"]
            self._sink.progress(done, total, text)
        else:
            self._answer.set_result(message)

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    def kill(self) -> None:
        """End the child now, with everything that it started."""
        pid = self.process.pid
        for kill in (os.killpg, os.kill):  # its group exists only from the child's first instructions on
            try:
                if pid is not None:
                    kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass  # it has ended
        if self._transport is not None:
            self._transport.close()


class ChildPool:
    """At most `limit` children, started on demand."""

    def __init__(self, limit: int):
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["executor.worker.preload"])
        self._limit = asyncio.Semaphore(limit)
        self._idle: deque[Child] = deque()
        self._all: set[Child] = set()

    async def run(self, function: str, params: dict[str, Any], context: TaskContext) -> str:
        """Call a task function in a child and return its result as JSON text. A cancelled call kills its child.

        Raises CallFailed, ProcessDied.
        """
        request = orjson.dumps({"function": function, "params": params, "context": context.sendable()})
        async with self._limit:
            child = self._take_idle() or await self._start()
            try:
                answer = await child.call(request, context.sink)
            except BaseException:
                self._discard(child)
                raise
            child.idle_since = asyncio.get_running_loop().time()
            self._idle.append(child)
        if "result" in answer:
            result: str = answer["result"]
            return result
        raise CallFailed(Failure(**answer))  # type: ignore[typeddict-item]

    def warm_up(self) -> None:
        """Start the server that children are forked from, without waiting for it; its imports take a second."""
        try:
            forkserver.ensure_running()
        except OSError as error:
            logger.warning("child processes cannot be started yet: %s", error)  # the first call tries again

    def reap(self) -> None:
        """End children that have been idle for IDLE_TIMEOUT."""
        now = asyncio.get_running_loop().time()
        while self._idle and now - self._idle[0].idle_since > IDLE_TIMEOUT:
            self._discard(self._idle.popleft())

    def close(self) -> None:
        """End every child."""
        for child in list(self._all):
            self._discard(child)
        self._idle.clear()

    async def _start(self) -> Child:
        # Shielded: a child started for a call that is cancelled in between must still be killed.
        starting = asyncio.ensure_future(asyncio.to_thread(_fork, self._context))
        try:
            child = await asyncio.shield(starting)
        except asyncio.CancelledError:
            starting.add_done_callback(_kill_late)
            raise
        self._all.add(child)
        failpoint("child-started")
        try:
            return await child.connect()
        except BaseException:
            self._discard(child)
            raise

    def _take_idle(self) -> Child | None:
        """Return an idle child that still lives; one that has ended must not cost the next task an attempt."""
        while self._idle:
            child = self._idle.pop()
            if child.is_connected:
                return child
            self._discard(child)
        return None

    def _discard(self, child: Child) -> None:
        self._all.discard(child)
        child.kill()


def _fork(context: ForkServerContext) -> Child:
    """Start a child, with retries: if a function damaged the fork server, a new one starts shortly."""
    for pause in START_PAUSES:
        try:
            return Child(context)
        except (OSError, EOFError):
            time.sleep(pause)
    return Child(context)


def _kill_late(starting: asyncio.Future[Child]) -> None:
    if not starting.cancelled() and starting.exception() is None:
        starting.result().process.kill()
