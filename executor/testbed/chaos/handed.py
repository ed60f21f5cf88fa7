"""A batch as its callers remember it."""

from __future__ import annotations

from dataclasses import dataclass, field

from executor.testbed.invariants import Orders


@dataclass
class Handed:
    """What was handed over in one call, and what was asked for since."""

    call: dict
    task_ids: list[str]
    cancelled: set[str] = field(default_factory=set)
    orders: Orders | None = field(default_factory=Orders)  # None when it is not known in which frame they took effect

    def note_limit(self, seq: int | None, limit: int) -> None:
        if seq is not None and self.orders is not None:
            self.orders.limits.append((seq, limit))

    def note_halt(self, seq: int | None, halted: bool) -> None:
        if seq is not None and self.orders is not None:
            self.orders.halts.append((seq, halted))
