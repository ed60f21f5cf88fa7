"""Reports of a running attempt: its log goes to a file, its progress to the completer, at limited rates."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from executor.domain.messages import ClaimedTask, Progress
from executor.domain.secrets import Redactor
from executor.storage.attempt_log import AttemptLog

from .failures import clean

logger = logging.getLogger(__name__)

MIN_INTERVAL = 0.5  # seconds between two progress reports of a task
TEXT_CHARACTERS = 200  # of a progress report


class AttemptReporter:
    """The sink of one attempt's context. Its sink methods may be called from any thread.

    `on_progress` is called on the event loop.
    """

    def __init__(self, task: ClaimedTask, on_progress: Callable[[Progress], None]):
        self._task, self._on_progress = task, on_progress
        self._loop = asyncio.get_running_loop()
        self._log: AttemptLog | None = None
        self._redactor: Redactor | None = None
        self._lock = threading.RLock()  # of log and redactor
        self._is_closed = False
        self._latest: list[Any] = []
        self._sent_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def redact_with(self, redactor: Redactor | None) -> None:
        """Redact everything that is reported from now on."""
        self._redactor = redactor

    # --- the sink --------------------------------------------------------------------------------

    def log(self, text: str) -> None:
        """Append text to the attempt's log."""
        with self._lock:
            self._write(self._redactor.redact_chunk(str(text)) if self._redactor else str(text))

    def progress(self, done: float, total: float | None, text: str) -> None:
        """Report progress; of several reports within MIN_INTERVAL the last one counts."""
        text = self._redactor.redact_text(str(text)) if self._redactor else str(text)
        value = [float(done), None if total is None else float(total), clean(text, TEXT_CHARACTERS)]
        try:
            self._loop.call_soon_threadsafe(self._schedule, value)
        except RuntimeError:
            pass  # the loop is closed: the worker is ending

    def redactor(self) -> Redactor | None:
        """Return a redactor for another stream of this attempt."""
        return self._redactor.clone() if self._redactor else None

    # ---------------------------------------------------------------------------------------------

    def _write(self, text: str) -> None:
        task = self._task
        with self._lock:
            if self._is_closed:
                return  # a thread that the function has left behind
            if self._log is None:
                self._log = AttemptLog(task.batch_id, task.number, task.attempt)
            try:
                self._log.write(text)
            except OSError as error:  # a full disk must not fail the task
                logger.warning("the log of task %s is not written: %s", task.task_id, error)

    def _schedule(self, value: list[Any]) -> None:
        self._latest = value
        if self._timer is None:
            pause = max(0.0, self._sent_at + MIN_INTERVAL - time.monotonic())
            self._timer = self._loop.call_later(pause, self._send)

    def _send(self) -> None:
        self._timer = None
        self._sent_at = time.monotonic()
        self._on_progress(Progress(self._task.claim, self._latest))

    def close(self) -> None:
        """Write the text that the redactor holds back, and report nothing more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._redactor is not None and (held := self._redactor.flush()):
            self._write(held)
        with self._lock:
            self._is_closed = True
            if self._log is not None:
                try:
                    self._log.close()
                except OSError as error:
                    logger.warning("the log of task %s is incomplete: %s", self._task.task_id, error)
