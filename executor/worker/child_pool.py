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

import orjson

from executor.db.failpoints import failpoint
from executor.domain.errors import ProcessDied, TaskError
from executor.functions import TaskContext
from executor.functions.context import Sink

from .child import HEADER, serve

logger = logging.getLogger(__name__)

PAUSES = (0.05, 0.2, 0.5, 1.0)  # seconds between tries to start a child
IDLE = 30.0  # seconds after which a child that has nothing to do is let go


class CallFailed(TaskError):
    """The function raised; kind and traceback are those of the child."""

    def __init__(self, answer: dict):
        super().__init__(
            answer["error"],
            retryable=answer.get("retryable", True),
            retry_after=answer.get("retry_after"),
            details=answer.get("details"),
        )
        self.kind = answer["kind"]
        self.traceback = answer.get("traceback", "")


class Child(asyncio.Protocol):
    """One child process and the line to it."""

    def __init__(self, context):
        ours, theirs = context.Pipe(duplex=True)
        self.process = context.Process(target=serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()
        self._socket = socket.socket(fileno=os.dup(ours.fileno()))
        ours.close()
        self._line: asyncio.WriteTransport | None = None
        self._heard = bytearray()
        self._sink: Sink | None = None
        self._answer: asyncio.Future | None = None
        self.idle_since = 0.0

    async def connect(self) -> Child:
        self._line, _ = await asyncio.get_running_loop().create_connection(lambda: self, sock=self._socket)
        return self

    async def call(self, request: bytes, sink: Sink) -> dict:
        """Send a call and wait for its answer; what it logs meanwhile goes to the sink.

        Raises ProcessDied when the child ends instead.
        """
        self._sink, self._answer = sink, asyncio.get_running_loop().create_future()
        if self._line.is_closing():
            self.connection_lost(None)
        else:
            self._line.write(HEADER.pack(len(request)) + request)
        try:
            return await self._answer
        except ConnectionError:
            await asyncio.to_thread(self.process.join, 1.0)
            code = self.process.exitcode
            how = "" if code is None else f" with signal {-code}" if code < 0 else f" with exit code {code}"
            raise ProcessDied(f"The child process that ran the function ended by itself{how}.") from None
        except (TypeError, ValueError):  # the function wrote into the line
            raise ProcessDied("The child process that ran the function gave an answer that is none.") from None

    def data_received(self, data: bytes) -> None:
        self._heard += data
        while len(self._heard) >= HEADER.size:
            end = HEADER.size + HEADER.unpack_from(self._heard)[0]
            if len(self._heard) < end:
                break
            text = self._heard[HEADER.size : end]
            del self._heard[:end]
            try:
                self._hear(orjson.loads(text))
            except (TypeError, ValueError) as error:
                self._fail(error)

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(ConnectionResetError())

    def _hear(self, message: dict) -> None:
        if self._answer is None or self._answer.done():
            return  # a thread that the last call has left behind still speaks
        if "log" in message:
            self._sink.log(message["log"])
        elif "progress" in message:
            self._sink.progress(*message["progress"])
        else:
            self._answer.set_result(message)

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    def kill(self) -> None:
        """End it now, with everything that it started."""
        for kill in (os.killpg, os.kill):  # the group exists from the child's first moments on, but not before
            try:
                kill(self.process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue
        if self._line is not None:
            self._line.close()


class ProcessPool:
    """At most `limit` children; started when they are needed."""

    def __init__(self, limit: int):
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["executor.worker.preload"])
        self._slots = asyncio.Semaphore(limit)
        self._idle: deque[Child] = deque()
        self._all: set[Child] = set()

    async def run(self, function: str, params: dict, context: TaskContext) -> str:
        """Call a task function in a child; its result as JSON text. A cancelled call kills its child.

        Raises CallFailed, ProcessDied.
        """
        request = orjson.dumps({"function": function, "params": params, "context": context.sendable()})
        async with self._slots:
            child = self._idle.pop() if self._idle else await self._start()
            try:
                answer = await child.call(request, context.sink)
            except BaseException:
                self._discard(child)
                raise
            child.idle_since = asyncio.get_running_loop().time()
            self._idle.append(child)
        if "result" in answer:
            return answer["result"]
        raise CallFailed(answer)

    def warm_up(self) -> None:
        """Start the server that children are forked from; its imports take a second. It is not waited for."""
        try:
            forkserver.ensure_running()
        except OSError as error:
            logger.warning("child processes cannot be started yet: %s", error)  # the first call tries again

    def reap(self) -> None:
        """Let children go that had nothing to do for a while."""
        now = asyncio.get_running_loop().time()
        while self._idle and now - self._idle[0].idle_since > IDLE:
            self._discard(self._idle.popleft())

    def close(self) -> None:
        """End every child."""
        for child in list(self._all):
            self._discard(child)
        self._idle.clear()

    async def _start(self) -> Child:
        # Shielded: a child that was started for a call which is cancelled meanwhile must still be known, and end.
        starting = asyncio.ensure_future(asyncio.to_thread(_fork, self._context))
        try:
            child = await asyncio.shield(starting)
        except asyncio.CancelledError:
            starting.add_done_callback(_kill_late)
            raise
        self._all.add(child)
        failpoint("child-started")
        return await child.connect()

    def _discard(self, child: Child) -> None:
        self._all.discard(child)
        child.kill()


def _fork(context) -> Child:
    """Start a child. The server that it is forked from may be about to end, because a function harmed it: that is not
    the fault of the next task, and a new server takes over in a moment."""
    for pause in PAUSES:
        try:
            return Child(context)
        except (OSError, EOFError):
            time.sleep(pause)
    return Child(context)


def _kill_late(starting: asyncio.Future) -> None:
    if not starting.cancelled() and starting.exception() is None:
        starting.result().process.kill()
