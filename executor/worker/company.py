"""Which worker runs a batch of which only few tasks may run at once.

While its tasks are shorter than a transaction, one worker that holds all of its slots is faster than two that share
them: it records and claims all of them at once, where two do so by halves and wait for each other's lock. So a worker
that holds the minority of the slots leaves them to the others.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence

from executor.domain.messages import Claimed, Outcome
from executor.queue.locked_batch import Book

from .slots import AHEAD, MEMORY, SHORT

PAUSE = 0.005  # seconds after which the others should have taken what was left to them
GRUDGE = 0.25  # seconds for which nothing more is left to others who did not


class Company:
    """What a worker with so many slots holds of each batch. Used by the ledger alone."""

    def __init__(self, slots: int):
        self._slots = slots
        self._held: Counter[str] = Counter()
        self._longest = SHORT  # of the last tasks, in seconds
        self._grudge_until = 0.0

    def claimed(self, tasks: Iterable[Claimed]) -> None:
        self._held.update(task.batch_id for task in tasks)

    def ended(self, outcomes: Sequence[Outcome]) -> None:
        self._held.subtract(outcome.batch_id for outcome in outcomes)
        self._held = +self._held
        if outcomes:
            spent = max(outcome.execution_time for outcome in outcomes)
            self._longest = max(spent, self._longest * MEMORY)

    def leaves_to_others(self, book: Book) -> bool:
        """Whether slots of this batch that have just become free should be left to the other workers."""
        others = book.counters["running"] - self._held[book.batch_id]
        return (
            book.max_concurrent <= self._slots
            and others > book.max_concurrent / 2
            and self._longest <= SHORT / AHEAD
            and time.monotonic() >= self._grudge_until
        )

    def were_not_taken(self) -> None:
        """The others had no use for them."""
        self._grudge_until = time.monotonic() + GRUDGE
