"""BatchWorker: an RQ worker that runs many tasks at once.

To RQ it is a worker like any other: registered, listed by `rq info` and django-rq, suspended and shut down by RQ's
commands. But it takes many tickets at once, claims their tasks in the database, and runs them on one event loop.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from contextlib import suppress
from typing import Any

import uvloop
from django.db import connections
from rq.suspension import is_suspended
from rq.worker import BaseWorker, WorkerStatus

from executor.broker.connection import redis_client
from executor.broker.tickets import RedisError
from executor.functions import has_plain_functions

from .liveness import new_name
from .task_loop import TaskLoop

RQ_HEARTBEAT = 10.0  # seconds between heartbeats in RQ's own registry
CHORES_INTERVAL = 1.0  # seconds between checks for `rq suspend` and idle children


class BatchWorker(BaseWorker):
    """Settings: BATCH_CONCURRENCY tasks at once, BATCH_PROCESSES child processes, BATCH_GRACE seconds after SIGTERM."""

    def __init__(self, *args: Any, **kwargs: Any):
        kwargs["name"] = kwargs.get("name") or new_name()
        kwargs.update(worker_ttl=30, connection=redis_client())  # the caller's would have long timeouts
        super().__init__(*args, **kwargs)
        for queue in self.queues:
            queue.connection = self.connection

    def work(  # type: ignore[override]  # RQ's other options have names only
        self, burst: bool = False, logging_level: str | None = "INFO", **rq_options: Any
    ) -> bool:
        """Run until stopped or, in burst mode, until there is nothing left to do; return whether anything was done.

        RQ's other options have no meaning here: the database decides when a task runs.
        """
        connections.close_all()  # a connection opened before a fork is the parent's
        self.bootstrap(logging_level)
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(self._run(burst))
        finally:
            try:
                self.teardown()  # type: ignore[no-untyped-call]
            except RedisError:
                pass  # RQ's record expires after a minute

    def handle_payload(self, message: Any) -> None:
        """Handle RQ's shutdown command only: the others kill process groups, and with them unrelated tasks."""
        if b'"shutdown"' in message.get("data", b""):
            os.kill(os.getpid(), signal.SIGTERM)

    async def _run(self, burst: bool) -> bool:
        tasks = TaskLoop(self.name, self.queue_names(), burst)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, tasks.stop)
        if has_plain_functions():
            tasks.children.warm_up()
        # Modules loaded by now stay loaded. A full collection over all of them would delay every task by 50 ms.
        gc.collect()
        gc.freeze()
        await tasks.start()
        self._report_ready()
        chores = asyncio.create_task(self._chores(tasks))
        await tasks.run()
        chores.cancel()
        return bool(tasks.done)

    def _report_ready(self) -> None:
        """Notify the supervisor, if there is one, that this worker takes tasks now."""
        if fd := os.environ.pop("BATCH_READY_FD", ""):
            with suppress(OSError), open(int(fd), "wb", buffering=0) as pipe:
                pipe.write(f"{self.name}\n".encode())

    async def _chores(self, tasks: TaskLoop) -> None:
        """Keep RQ's record of this worker alive, obey `rq suspend`, end idle children."""
        loop = asyncio.get_running_loop()
        beat_at = float("-inf")
        while True:
            try:
                if loop.time() - beat_at >= RQ_HEARTBEAT:
                    beat_at = loop.time()
                    await asyncio.to_thread(self._rq_heartbeat, bool(tasks.attempts))
                tasks.set_suspended(await asyncio.to_thread(self._is_suspended))
            except RedisError:
                pass  # the database has our heartbeat; RQ's lists are complete again when Redis is back
            tasks.children.reap()
            await asyncio.sleep(CHORES_INTERVAL)

    def _is_suspended(self) -> bool:
        return bool(is_suspended(self.connection))

    def _rq_heartbeat(self, busy: bool) -> None:
        if not self.connection.exists(self.key):  # Redis was flushed
            self.register_birth()  # type: ignore[no-untyped-call]
        self.heartbeat()
        self.set_state(WorkerStatus.BUSY if busy else WorkerStatus.IDLE)
