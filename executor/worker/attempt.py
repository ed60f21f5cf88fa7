"""One attempt at a task: look the function up, check its parameters, call it, and say how that ended."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from enum import Enum

import orjson
from django.conf import settings
from pydantic import ValidationError

from executor.domain.errors import TaskCancelled, TaskError, TaskTimeout, UnknownFunction
from executor.domain.messages import Claimed, Outcome, Progress
from executor.domain.secrets import MARKER, Redactor, substitute_secrets
from executor.domain.states import TaskStatus
from executor.functions import TaskContext, resolve

from .child_pool import ProcessPool
from .reporter import Words
from .results import encode, failure_of, keep, message_of

logger = logging.getLogger(__name__)

DEAF = 2.0  # seconds after which a function that ignores its cancellation is left to itself


STRANGE, STRANGE_PAUSE = 20, 3.0  # so often, after so many seconds, a worker without the function gives a task back


class Stop(Enum):
    """Why an attempt is stopped before its end."""

    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    RELEASED = "released"  # goes back to the queue, not charged
    LOST = "lost"  # the claim is somebody else's: nothing is recorded


def not_started(task: Claimed, why: Stop) -> Outcome | None:
    """The outcome of a claim that ends before its function was called."""
    match why:
        case Stop.CANCELLED:
            how = {"error": "Cancelled before it started.", "error_kind": TaskCancelled.kind}
            return Outcome(task.task_id, task.batch_id, task.attempt, TaskStatus.CANCELLED, **how)
        case Stop.RELEASED:
            return Outcome(task.task_id, task.batch_id, task.attempt, TaskStatus.QUEUED, released=True)
    return None


class Attempt:
    """A claimed task while it runs on this worker's event loop; `ended` is called once with its outcome, `told` now
    and then with its progress."""

    def __init__(
        self,
        task: Claimed,
        processes: ProcessPool,
        ended: Callable[[Attempt, Outcome | None], None],
        told: Callable[[Progress], None],
    ):
        self.task = task
        self.stopped_for: Stop | None = None
        self._redactor: Redactor | None = None
        self._words = Words(task, told)
        self._processes = processes
        self._ended: Callable | None = ended
        self._started = time.monotonic()
        self._timeout = task.timeout or settings.BATCH_TIMEOUT
        loop = asyncio.get_running_loop()
        self._run = loop.create_task(self._call())
        self._run.add_done_callback(self._finish)
        self._timer = loop.call_later(self._timeout, self.stop, Stop.TIMEOUT)

    def stop(self, why: Stop) -> None:
        """End it. A child process is killed; a coroutine is cancelled, again and again while it does not listen."""
        if self._ended is None:
            return
        self._run.cancel()
        if self.stopped_for is None:  # asked again and again, it would otherwise never be left to itself
            self.stopped_for = why
            self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(DEAF, self._abandon)

    @property
    def overdue(self) -> float:
        """Seconds since it should have ended; more than a few when the event loop does not get its turn."""
        return time.monotonic() - self._started - self._timeout

    async def _call(self) -> str:
        task = self.task
        function, params = resolve(task.function, orjson.loads(task.params))
        if MARKER in task.params:
            params, self._redactor = substitute_secrets(params)
            self._words.hide(self._redactor)
        context = TaskContext(
            task_id=task.task_id,
            batch_id=task.batch_id,
            number=task.number,
            attempt=task.attempt,
            retry_count=task.retry_count,
            max_retries=task.max_retries,
            name=task.name,
            custom_id=task.custom_id,
            owner=task.owner,
            sink=self._words,
        )
        if not function.is_async:
            return await self._processes.run(function.name, params, context)
        try:
            return encode(await function.call(**function.arguments(params, context)))
        except (SystemExit, KeyboardInterrupt) as error:
            # These would end the event loop, and every other task of this worker with it.
            raise TaskError(message_of(error)) from error

    def _finish(self, run: asyncio.Task) -> None:
        try:
            outcome = self._outcome(run)
        except Exception as error:  # whatever the function did: the attempt ends and its slot comes back
            logger.exception("the outcome of task %s is unclear", self.task.task_id)
            outcome = self._made(TaskStatus.FAILED, error=message_of(error), error_kind=type(error).__name__[:50])
        self._report(outcome)

    def _abandon(self) -> None:
        if self._ended is not None:
            logger.warning("task %s ignores its cancellation and is left to itself", self.task.task_id)
            self._report(self._stopped())

    def _report(self, outcome: Outcome | None) -> None:
        ended, self._ended = self._ended, None
        self._timer.cancel()
        self._words.close()
        if ended is not None:
            ended(self, outcome)

    def _outcome(self, run: asyncio.Task) -> Outcome | None:
        if self.stopped_for is not None and (run.cancelled() or run.exception() is not None):
            return self._stopped()
        if run.cancelled():
            return self._failed(TaskError("The task function cancelled itself."))
        error = run.exception()
        if error is not None:
            return self._failed(error)
        task = self.task
        text = self._redactor.redact_json(run.result()) if self._redactor else run.result()
        try:
            result = keep(task.batch_id, task.number, task.attempt, text)
        except OSError as error:
            return self._failed(error)
        return self._made(TaskStatus.COMPLETED, result=result)

    def _stopped(self) -> Outcome | None:
        match self.stopped_for:
            case Stop.TIMEOUT:
                took = f"The attempt took longer than its timeout of {self._timeout:g} s and was killed."
                return self._failed(TaskTimeout(took))
            case Stop.CANCELLED:
                return self._made(TaskStatus.CANCELLED, error="Cancelled while it ran.", error_kind=TaskCancelled.kind)
            case Stop.RELEASED:
                return self._made(TaskStatus.QUEUED, released=True)
        return None

    def _failed(self, error: BaseException) -> Outcome:
        if isinstance(error, ValidationError):
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
            error = TaskError(f"The parameters are wrong: {wrong}", retryable=False)
            error.kind = "bad_params"
        if isinstance(error, UnknownFunction) and self.task.attempt <= STRANGE:
            # Perhaps a newer worker knows it: while versions change, nobody's retries are spent on that.
            how = {"error": message_of(error), "error_kind": error.kind, "retry_after": STRANGE_PAUSE}
            return self._made(TaskStatus.QUEUED, released=True, **how)
        told = failure_of(error)
        if isinstance(error, TaskError):
            # Of an error that was raised on purpose the traceback says nothing more, unless it came from a child.
            told["traceback"] = getattr(error, "traceback", "")
        if self._redactor:
            told = orjson.loads(self._redactor.redact_json(orjson.dumps(told).decode()))
        return self._made(
            TaskStatus.FAILED,
            error=told["error"],
            error_kind=told["kind"],
            traceback=told["traceback"],
            output=told.get("details"),
            retryable=told.get("retryable", True),
            retry_after=told.get("retry_after"),
        )

    def _made(self, status: TaskStatus, **how) -> Outcome:
        task = self.task
        spent = time.monotonic() - self._started
        return Outcome(task.task_id, task.batch_id, task.attempt, status, execution_time=spent, **how)
