"""What an attempt says while it runs: its log goes to a file, its progress to the ledger, neither too often."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from executor.domain.messages import Claimed, Progress
from executor.domain.secrets import Redactor
from executor.storage.attempt_log import AttemptLog

from .results import clean

logger = logging.getLogger(__name__)

OFTEN = 0.5  # seconds between two progress reports of a task


class Words:
    """The sink of one attempt's context. May be called from any thread; `told` is called on the event loop."""

    def __init__(self, task: Claimed, told: Callable[[Progress], None]):
        self._task, self._told = task, told
        self._loop = asyncio.get_running_loop()
        self._log: AttemptLog | None = None
        self._redactor: Redactor | None = None
        self._latest: list | None = None
        self._said_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def hide(self, redactor: Redactor | None) -> None:
        """From now on nothing is said that this hides."""
        self._redactor = redactor

    def log(self, text: str) -> None:
        self._write(self._redactor.redact_chunk(str(text)) if self._redactor else str(text))

    def redactor(self) -> Redactor | None:
        return self._redactor.clone() if self._redactor else None

    def _write(self, text: str) -> None:
        task = self._task
        if self._log is None:
            self._log = AttemptLog(task.batch_id, task.number, task.attempt)
        try:
            self._log.write(text)
        except OSError as error:  # a full disk must not fail the task
            logger.warning("the log of task %s is not written: %s", task.task_id, error)

    def progress(self, done: float, total: float | None, text: str) -> None:
        text = self._redactor.redact_text(str(text)) if self._redactor else str(text)
        value = [float(done), None if total is None else float(total), clean(text, 200)]
        try:
            self._loop.call_soon_threadsafe(self._say, value)
        except RuntimeError:
            pass  # the worker is ending

    def _say(self, value: list) -> None:
        self._latest = value
        if self._timer is None:
            pause = max(0.0, self._said_at + OFTEN - time.monotonic())
            self._timer = self._loop.call_later(pause, self._send)

    def _send(self) -> None:
        self._timer = None
        self._said_at = time.monotonic()
        self._told(Progress(self._task.task_id, self._task.batch_id, self._task.attempt, self._latest))

    def close(self) -> None:
        """The attempt is over: nothing more is said."""
        if self._timer is not None:
            self._timer.cancel()
        if self._redactor is not None and (held := self._redactor.flush()):
            self._write(held)
        if self._log is not None:
            self._log.close()
