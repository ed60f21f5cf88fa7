"""One transaction over locked batches: the base of BatchQueue and of its verbs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self, TypeVar
from uuid import UUID

from django.db import transaction

from executor.db.dialect import ROWS_A_STATEMENT, from_db_time
from executor.db.statements import query
from executor.db.write_lock import write_lock
from executor.domain.errors import NotFound
from executor.domain.messages import Claim, Ticket

from . import statements
from .locked_batch import LockedBatch, lock_batches


class InvariantBroken(RuntimeError):
    """A verb would have broken an invariant of the queue; the transaction is rolled back."""


class QueueTransaction:
    """Locked batches, and the changes in Redis after the commit: `issued` and `withdrawn` tickets.

    For a `worker` it also knows when that last sent a heartbeat: `heartbeat_at`, None when it is dead or gone.
    """

    def __init__(self, batch_ids: Iterable[UUID], worker: str = ""):
        self.worker = worker
        self.heartbeat_at: datetime | None = None
        self.batches: dict[UUID, LockedBatch] = {}
        self.issued: list[Ticket] = []
        self.withdrawn: list[Ticket] = []
        self.added = 0  # tasks
        self.changed: dict[UUID, int] = {}  # batch → number of its new frame
        self._batch_ids = list(batch_ids)
        self._transaction: AbstractContextManager[None] = self._open()

    def __enter__(self) -> Self:
        self._transaction.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return self._transaction.__exit__(kind, error, traceback)

    @contextmanager
    def _open(self) -> Iterator[None]:
        with write_lock(), transaction.atomic():
            self.batches = {batch.batch_id: batch for batch in lock_batches(self._batch_ids)}
            if self.worker:
                # Under the locks: from here on this worker's tasks of these batches cannot be rescued.
                rows = query(statements.LAST_HEARTBEAT, [self.worker])
                self.heartbeat_at = from_db_time(rows[0][0]) if rows else None
            yield
            for batch in self.batches.values():
                if batch.flush():
                    self.changed[batch.batch_id] = batch.seq

    @property
    def now(self) -> datetime:
        """The database's time when the batches were locked. There must be at least one."""
        return next(iter(self.batches.values())).now

    def batch(self, batch_id: UUID) -> LockedBatch:
        """Return a locked batch.

        Raises NotFound.
        """
        try:
            return self.batches[batch_id]
        except KeyError:
            raise NotFound(
                f"There is no batch {batch_id}.", fix="`GET /api/batches` lists the existing ones."
            ) from None


class _OfBatch(Protocol):
    @property
    def batch_id(self) -> UUID: ...


class _OfClaim(Protocol):
    @property
    def claim(self) -> Claim: ...


OfBatch = TypeVar("OfBatch", bound=_OfBatch)
OfClaim = TypeVar("OfClaim", bound=_OfClaim)
T = TypeVar("T")


def by_batch(items: Iterable[OfBatch]) -> dict[UUID, list[OfBatch]]:
    """Group items by their batch."""
    groups: dict[UUID, list[OfBatch]] = defaultdict(list)
    for item in items:
        groups[item.batch_id].append(item)
    return groups


def by_claimed_batch(items: Iterable[OfClaim]) -> dict[UUID, list[OfClaim]]:
    """Group outcomes or progress reports by the batch of their claim."""
    groups: dict[UUID, list[OfClaim]] = defaultdict(list)
    for item in items:
        groups[item.claim.batch_id].append(item)
    return groups


def chunks(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut rows into parts that fit into one statement."""
    return (rows[start : start + ROWS_A_STATEMENT] for start in range(0, len(rows), ROWS_A_STATEMENT))
