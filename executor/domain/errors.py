"""All errors that callers can receive: a sentence, a stable `code` and an HTTP status each.

ExecutorError
├── BadRequest              bad_request          400  the call itself is wrong; `errors` lists every field
│   └── BadTasks            bad_tasks            400  items of a batch are wrong; `errors` lists every one
├── NotAuthenticated        not_authenticated    401
├── NotAllowed              not_allowed          403
├── NotFound                not_found            404
├── Conflict                conflict             409  the state or an earlier call forbids it
├── TooLarge                too_large            413
└── Unavailable             unavailable          503  the database does not answer now; try again

TaskError                   a failed attempt; recorded with the task, never shown as a traceback
├── TaskFailed              task_failed          the task function raised it on purpose (`retryable`, `retry_after`)
├── TaskTimeout             timeout
├── TaskCancelled           cancelled            a cancel request
├── WorkerLost              worker_lost          the worker died or went silent
├── ProcessDied             process_died         the child process ended unexpectedly (exit, signal, memory)
├── BadResult               bad_result           the result cannot be stored as JSON
├── UnknownFunction         unknown_function     this worker has no function of that name
├── CodeFailed              code_failed          a program ended with another exit code than 0
├── CodeKilled              code_killed          a program was ended by a signal
├── CodeTimeout             timeout              a program exceeded its timeout
├── CodeMemory              code_memory          a program exceeded its memory limit
├── CodeFiles               code_files           a program exceeded its limits on files
├── SandboxUnavailable      sandbox_unavailable  programs cannot be contained here at the required level
├── AgentUnavailable        agent_unavailable    an MCP server or an agent is unavailable
├── ToolFailed              tool_failed          a tool of an agent failed, or was refused
├── AnswerLost              answer_lost          an agent got its message, but its answer was lost
└── SecretMissing           secret_missing       this worker does not know a secret of the parameters
"""

from __future__ import annotations

from typing import Any

LONGEST = 2_000  # characters of a sentence about a call, which may repeat its arguments


def shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"


class ExecutorError(Exception):
    """Something is wrong with the call; nothing was changed."""

    code = "error"
    status = 400
    fix = ""

    def __init__(self, message: str, *, fix: str = "", errors: list[dict[str, Any]] | None = None):
        super().__init__(message)
        self.message = shortened(message)
        self.fix = fix or self.fix
        self.errors = errors or []

    def problem(self) -> dict[str, Any]:
        """Return the RFC 9457 problem document of this error."""
        return {
            "type": f"/api/docs#{self.code}",  # relative to the address of the call (RFC 9457)
            "title": self.code.replace("_", " ").capitalize(),
            "status": self.status,
            "code": self.code,
            "detail": self.message,
            "errors": [
                {name: shortened(value) if isinstance(value, str) else value for name, value in error.items()}
                for error in self.errors
            ],
            "fix": self.fix,
        }


class BadRequest(ExecutorError):
    code = "bad_request"


class BadTasks(BadRequest):
    code = "bad_tasks"
    fix = "Correct the items listed in `errors` and send the whole batch again; nothing was stored."


class NotAuthenticated(ExecutorError):
    code = "not_authenticated"
    status = 401
    fix = "Send `Authorization: Bearer <token>`; `manage.py apitoken create NAME` makes a token."


class NotAllowed(ExecutorError):
    code = "not_allowed"
    status = 403


class NotFound(ExecutorError):
    code = "not_found"
    status = 404


class Conflict(ExecutorError):
    code = "conflict"
    status = 409


class TooLarge(ExecutorError):
    code = "too_large"
    status = 413


class Unavailable(ExecutorError):
    code = "unavailable"
    status = 503
    fix = "Try again in a few seconds."


class TaskError(Exception):
    """An attempt failed. `retryable=False` fails the task at once; `retry_after` (seconds) sets the delay."""

    kind = "error"

    def __init__(
        self, message: str = "", *, retryable: bool = True, retry_after: float | None = None, details: Any = None
    ):
        super().__init__(message)
        self.message = message or (self.__doc__ or "").strip()
        self.retryable = retryable
        self.retry_after = retry_after
        self.details = details


class TaskFailed(TaskError):
    """The task function failed."""

    kind = "task_failed"


class TaskTimeout(TaskError):
    """The attempt took longer than its timeout and was killed."""

    kind = "timeout"


class TaskCancelled(TaskError):
    """The task was cancelled while it ran."""

    kind = "cancelled"


class WorkerLost(TaskError):
    """The worker died or went silent while it ran this task."""

    kind = "worker_lost"


class ProcessDied(TaskError):
    """The child process that ran the task ended unexpectedly."""

    kind = "process_died"


class BadResult(TaskError):
    """The task's result cannot be stored as JSON."""

    kind = "bad_result"


class UnknownFunction(TaskError):
    """No task function of that name exists on this worker."""

    kind = "unknown_function"


class CodeFailed(TaskError):
    """The program ended with an exit code other than 0."""

    kind = "code_failed"


class CodeKilled(TaskError):
    """The program was ended by a signal."""

    kind = "code_killed"


class CodeTimeout(TaskTimeout):
    """The program exceeded its timeout and was killed."""


class CodeMemory(TaskError):
    """The program exceeded its memory limit."""

    kind = "code_memory"


class CodeFiles(TaskError):
    """The program exceeded its limits on files."""

    kind = "code_files"


class SandboxUnavailable(TaskError):
    """Programs cannot be contained on this worker as the settings demand."""

    kind = "sandbox_unavailable"


class AgentUnavailable(TaskError):
    """The MCP server or agent cannot be reached."""

    kind = "agent_unavailable"


class ToolFailed(TaskError):
    """The tool of an agent failed."""

    kind = "tool_failed"


class AnswerLost(TaskError):
    """The agent got its message, and its answer was lost."""

    kind = "answer_lost"


class SecretMissing(TaskError):
    """This worker has no value for a secret that the parameters name."""

    kind = "secret_missing"
