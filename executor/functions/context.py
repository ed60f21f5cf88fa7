"""What a running attempt knows about itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TaskContext:
    """Given to a task function that has a parameter annotated with it.

    `attempt` counts every start of the task; `retry_count` only the failures that were charged.
    """

    task_id: str
    batch_id: str
    number: int
    attempt: int
    retry_count: int = 0
    max_retries: int = 0
    name: str = ""
    custom_id: str | None = None

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this task: send it along where a repeated request must not act twice."""
        return f"task-{self.task_id}"
