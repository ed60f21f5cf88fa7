"""The submitted batches, as recorded by their callers."""

from __future__ import annotations

from dataclasses import dataclass, field

from executor.testbed.auditor import Orders


@dataclass
class Submission:
    """A batch that was added by one call, and all later orders for it."""

    call: dict
    task_ids: list[str]
    cancelled: set[str] = field(default_factory=set)
    orders: Orders | None = field(default_factory=Orders)  # None once the frame of an order is unknown

    def record_limit(self, seq: int | None, limit: int) -> None:
        if seq is not None and self.orders is not None:
            self.orders.limits.append((seq, limit))

    def record_halt(self, seq: int | None, halted: bool) -> None:
        if seq is not None and self.orders is not None:
            self.orders.halts.append((seq, halted))
