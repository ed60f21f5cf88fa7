"""Errors of any kind as a sentence and its fix."""

from __future__ import annotations

from django.db import DatabaseError, Error
from redis.exceptions import RedisError

from executor.domain.errors import BadRequest, ExecutorError, Unavailable
from executor.processes.layout import COMMAND

_NO_TABLES = ("no such table", "no such column", "does not exist", "has no column")


def explained(error: Exception) -> ExecutorError:
    """Return the error as one with a message and a fix for users."""
    cause = error.__cause__ if isinstance(error.__cause__, DatabaseError) else error
    text = str(cause).split("\n")[0].strip()
    if isinstance(cause, DatabaseError) and any(word in text for word in _NO_TABLES):
        fix = f"Run `{COMMAND} migrate`, or start everything with `{COMMAND} up`; --data DIR sets the data folder."
        return Unavailable("The database has not been set up for this version yet.", fix=fix)
    if isinstance(error, ExecutorError) and not isinstance(cause, Error):
        error.fix = error.fix.replace("`GET /api/batches`", f"`{COMMAND} batch list`")
        return error
    if isinstance(cause, Error):
        return Unavailable(f"The database does not answer: {text}.", fix="Is it running, and is DATABASE_URL right?")
    if isinstance(error, RedisError):
        return Unavailable(f"Redis does not answer: {text}.", fix=f"Is it running? `{COMMAND} up` starts one.")
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        fix = "Check the name." if isinstance(error, FileNotFoundError) else "Correct this, and try again."
        return BadRequest(f"{where}{error.strerror or text}.", fix=fix)
    kind = type(error).__name__
    return ExecutorError(
        f"Internal error ({kind}: {text}).",
        fix=f"`{COMMAND} batch --traceback …` shows where; please report it.",
    )
