"""The context of an attempt, as task functions see it: identity, progress, log and files."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Protocol
from uuid import UUID

from executor.domain.secrets import Redactor
from executor.storage.paths import artifact_folder


class Sink(Protocol):
    """Receiver of log lines and progress. Both may be called from any thread."""

    def log(self, text: str) -> None: ...

    def progress(self, done: float, total: float | None, text: str) -> None: ...

    def redactor(self) -> Redactor | None: ...


class NullSink:
    """A sink that drops everything."""

    def log(self, text: str) -> None:
        pass

    def progress(self, done: float, total: float | None, text: str) -> None:
        pass

    def redactor(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class TaskContext:
    """The argument of a task function for a parameter annotated with it.

    `attempt` counts every start of the task, `retry_count` only the failures that were charged. `owner` is the
    principal that created the batch: user:<id>, token:<id> or cli.
    """

    task_id: str
    batch_id: str
    number: int
    attempt: int
    retry_count: int = 0
    max_retries: int = 0
    name: str = ""
    custom_id: str | None = None
    owner: str = ""
    sink: Sink = field(default_factory=NullSink, compare=False, repr=False)

    @property
    def idempotency_key(self) -> str:
        """The same key for every attempt of this task, for requests that must not act twice when repeated."""
        return f"task-{self.task_id}"

    def log(self, text: str) -> None:
        """Append to the task's live log. ANSI colours are rendered."""
        self.sink.log(text)

    def progress(self, done: float, total: float | None = None, text: str = "") -> None:
        """Report progress: `progress(3, 10, "resizing")` shows a bar on the task's row."""
        self.sink.progress(done, total, text)

    def redactor(self) -> Redactor | None:
        """Return a redactor for streamed text, or None without secrets.

        Needed when a stream is split: a part of a secret does not match.
        """
        return self.sink.redactor()

    def artifact(self, name: str) -> Path:
        """Return the path of a file of this attempt; it is stored beside the database.

        Raises ValueError unless the name is a plain file name.
        """
        if not name or name in (".", "..") or name != Path(name).name or "\x00" in name:
            raise ValueError(f"an artifact needs a plain file name, not {name!r}")
        folder = artifact_folder(UUID(self.batch_id), self.number, self.attempt)
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name

    def sendable(self) -> dict:
        """Return the fields that can be sent to another process: all but the sink."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "sink"}
