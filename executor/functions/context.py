"""What a running attempt knows about itself, and how it tells how far it is."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Protocol

from django.conf import settings

from executor.domain.secrets import Curtain


class Sink(Protocol):
    """Where log lines and progress go. Both may be called from any thread."""

    def log(self, text: str) -> None: ...

    def progress(self, done: float, total: float | None, text: str) -> None: ...

    def curtain(self) -> Curtain | None: ...


class Silence:
    """Nobody listens."""

    def log(self, text: str) -> None:
        pass

    def progress(self, done: float, total: float | None, text: str) -> None:
        pass

    def curtain(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class TaskContext:
    """Given to a task function that has a parameter annotated with it.

    `attempt` counts every start of the task; `retry_count` only the failures that were charged. `owner` is who made
    the batch: user:<id>, token:<id> or cli.
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
    sink: Sink = field(default_factory=Silence, compare=False, repr=False)

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this task: send it along where a repeated request must not act twice."""
        return f"task-{self.task_id}"

    def log(self, text: str) -> None:
        """Append to the task's live log. ANSI colours are shown as such."""
        self.sink.log(text)

    def progress(self, done: float, total: float | None = None, text: str = "") -> None:
        """Say how far it is: `progress(3, 10, "resizing")` shows a bar on the task's row."""
        self.sink.progress(done, total, text)

    def curtain(self) -> Curtain | None:
        """What hides the task's secrets in a stream of text; for who cuts it, since half a secret is not known as
        one."""
        return self.sink.curtain()

    def artifact(self, name: str) -> Path:
        """The path of a file of this attempt that is kept beside the database.

        Raises ValueError for a name that is no plain file name.
        """
        if not name or name in (".", "..") or name != Path(name).name or "\x00" in name:
            raise ValueError(f"an artifact needs a plain file name, not {name!r}")
        folder = Path(settings.BATCH_ARTIFACTS) / self.batch_id / f"{self.number}-{self.attempt}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name

    def sendable(self) -> dict:
        """All of it that can be sent to another process."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "sink"}
