"""One attempt at a task: look up the function, check its parameters, call it, and make its outcome."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from enum import Enum

import orjson
from django.conf import settings
from pydantic import ValidationError

from executor.domain.errors import TaskError, TaskTimeout, UnknownFunction
from executor.domain.messages import (
    CANCELLED_QUEUED,
    CANCELLED_RUNNING,
    Cancelled,
    ClaimedTask,
    Completed,
    Failed,
    Outcome,
    Progress,
    Released,
)
from executor.domain.secrets import MARKER, Redactor, substitute_secrets
from executor.functions import TaskContext, resolve
from executor.storage.results import store_result

from .child_pool import ChildPool
from .failures import KIND_CHARACTERS, Failure, bad_params, failure_of, message_of, own_traceback
from .reporter import AttemptReporter
from .results import encode

logger = logging.getLogger(__name__)

CANCEL_GRACE = 2.0  # seconds before a coroutine that ignores its cancellation is abandoned

# A worker without the task's function releases the task until this attempt, with this pause in seconds; then it fails.
UNKNOWN_FUNCTION_RELEASES, UNKNOWN_FUNCTION_PAUSE = 20, 3.0


class Stop(Enum):
    """Why an attempt is stopped before its end."""

    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    RELEASED = "released"  # back to the queue, not charged
    CLAIM_LOST = "claim lost"  # the task was rescued: nothing is recorded


def outcome_before_start(task: ClaimedTask, why: Stop) -> Outcome | None:
    """Return the outcome of a claim that ends before its function was called; None where nothing is recorded."""
    match why:
        case Stop.CANCELLED:
            return Cancelled(task.claim, 0.0, CANCELLED_QUEUED)
        case Stop.RELEASED:
            return Released(task.claim)
    return None


class Attempt:
    """A claimed task while it runs on this worker's event loop.

    `on_end` is called once with the outcome, None where nothing is to be recorded; `on_progress` now and then.
    """

    def __init__(
        self,
        task: ClaimedTask,
        children: ChildPool,
        on_end: Callable[[Attempt, Outcome | None], None],
        on_progress: Callable[[Progress], None],
    ):
        self.task = task
        self.stopped_for: Stop | None = None
        self._redactor: Redactor | None = None
        self._reporter = AttemptReporter(task, on_progress)
        self._children = children
        self._on_end: Callable[[Attempt, Outcome | None], None] | None = on_end
        self._started = time.monotonic()
        self._timeout = task.timeout or settings.BATCH_TIMEOUT
        loop = asyncio.get_running_loop()
        self._run = loop.create_task(self._call())
        self._run.add_done_callback(self._finish)
        self._timer = loop.call_later(self._timeout, self.stop, Stop.TIMEOUT)

    def stop(self, why: Stop) -> None:
        """End the attempt: a child process is killed, a coroutine cancelled. The first reason counts."""
        if self._on_end is None:
            return
        self._run.cancel()
        if self.stopped_for is None:  # a repeated request must not postpone the abandonment
            self.stopped_for = why
            self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(CANCEL_GRACE, self._abandon)

    @property
    def overdue(self) -> float:
        """Seconds since the timeout; more than a few when the event loop is blocked."""
        return time.monotonic() - self._started - self._timeout

    @property
    def _execution_time(self) -> float:
        return time.monotonic() - self._started

    # --- the call --------------------------------------------------------------------------------

    async def _call(self) -> str:
        task = self.task
        function, params = resolve(task.function, orjson.loads(task.params))
        if MARKER in task.params:
            params, self._redactor = substitute_secrets(params)
            self._reporter.redact_with(self._redactor)
        context = TaskContext(
            task_id=task.task_id.hex,
            batch_id=task.batch_id.hex,
            number=task.number,
            attempt=task.attempt,
            retry_count=task.retry_count,
            max_retries=task.max_retries,
            name=task.name,
            custom_id=task.custom_id,
            owner=task.owner,
            sink=self._reporter,
        )
        if not function.is_async:
            return await self._children.run(function.name, params, context)
        try:
            return encode(await function.call(**function.arguments(params, context)))
        except (SystemExit, KeyboardInterrupt) as error:
            # These would end the event loop, and every other task of this worker with it.
            raise TaskError(message_of(error)) from error

    def _finish(self, run: asyncio.Task[str]) -> None:
        try:
            outcome = self._outcome(run)
        except Exception as error:  # the attempt must end and free its slot in every case
            logger.exception("the outcome of task %s is unclear", self.task.task_id)
            kind = type(error).__name__[:KIND_CHARACTERS]
            outcome = Failed(self.task.claim, self._execution_time, message_of(error), kind)
        self._report(outcome)

    def _abandon(self) -> None:
        if self._on_end is not None:
            logger.warning("task %s ignores its cancellation and is abandoned", self.task.task_id)
            self._report(self._stopped_outcome())

    def _report(self, outcome: Outcome | None) -> None:
        on_end, self._on_end = self._on_end, None
        self._timer.cancel()
        self._reporter.close()
        if on_end is not None:
            on_end(self, outcome)

    # --- its outcome -----------------------------------------------------------------------------

    def _outcome(self, run: asyncio.Task[str]) -> Outcome | None:
        if self.stopped_for is not None and (run.cancelled() or run.exception() is not None):
            return self._stopped_outcome()
        if run.cancelled():
            return self._failed(TaskError("The task function cancelled itself."))
        error = run.exception()
        if error is not None:
            return self._failed(error)
        task = self.task
        text = self._redactor.redact_json(run.result()) if self._redactor else run.result()
        try:
            result = store_result(task.batch_id, task.number, task.attempt, text)
        except OSError as disk_error:
            return self._failed(disk_error)
        return Completed(task.claim, self._execution_time, result)

    def _stopped_outcome(self) -> Outcome | None:
        match self.stopped_for:
            case Stop.TIMEOUT:
                limit = f"{self._timeout:g} s"
                return self._failed(TaskTimeout(f"The attempt took longer than its timeout of {limit} and was killed."))
            case Stop.CANCELLED:
                return Cancelled(self.task.claim, self._execution_time, CANCELLED_RUNNING)
            case Stop.RELEASED:
                return Released(self.task.claim, self._execution_time)
        return None

    def _failed(self, error: BaseException) -> Outcome:
        claim = self.task.claim
        if isinstance(error, UnknownFunction) and self.task.attempt <= UNKNOWN_FUNCTION_RELEASES:
            # A newer worker may know it: a rolling upgrade must not use up retries.
            message, pause = message_of(error), UNKNOWN_FUNCTION_PAUSE
            return Released(claim, self._execution_time, message, error.kind, retry_after=pause)
        failure = failure_of(bad_params(error) if isinstance(error, ValidationError) else error)
        if isinstance(error, TaskError | ValidationError):
            # The traceback of an error raised on purpose adds nothing, unless it is from a child.
            failure["traceback"] = own_traceback(error)
        if self._redactor:
            redacted: Failure = orjson.loads(self._redactor.redact_json(orjson.dumps(failure).decode()))
            failure = redacted
        return Failed(
            claim,
            self._execution_time,
            error=failure["error"],
            error_kind=failure["kind"][:KIND_CHARACTERS],
            traceback=failure["traceback"],
            output=failure.get("details"),
            retryable=failure.get("retryable", True),
            retry_after=failure.get("retry_after"),
        )
