"""The entry points that open a BatchQueue.

Before the commit the free slots get their tickets; after it the tickets are issued and the watchers notified.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from uuid import UUID

from django.db import transaction

from executor.broker import notifier, tickets
from executor.db.dialect import analyze_table
from executor.db.failpoints import failpoint

from . import statements
from .batch_queue import BatchQueue

logger = logging.getLogger(__name__)

ANALYZE_AFTER = 1000  # tasks added by one call

# Whether tickets of the current call could not be issued: its answer says so, and repair issues them later.
delayed: ContextVar[bool] = ContextVar("delayed", default=False)


@contextmanager
def open_batches(batch_ids: Iterable[UUID]) -> Iterator[BatchQueue]:
    """Open one transaction over these batches, which issues tickets for their free slots at its end."""
    with BatchQueue(batch_ids) as queue:
        yield queue
        fill_slots(queue)
        transaction.on_commit(lambda: publish(queue), robust=True)
        if queue.added >= ANALYZE_AFTER:
            transaction.on_commit(partial(analyze_table, statements.TASK), robust=True)


def fill_slots(queue: BatchQueue) -> None:
    """Issue tickets for every batch with queued tasks and free slots."""
    for batch in queue.batches.values():
        queue.dispatch(batch, queue.select_due_tickets(batch))


def publish(queue: BatchQueue) -> None:
    """Withdraw and issue tickets and notify watchers, after a commit.

    Without Redis everything happens all the same, later.
    """
    failpoint("before-push", queue.issued)
    try:
        if queue.withdrawn:
            tickets.withdraw(queue.withdrawn)
        tickets.issue(queue.issued)
    except tickets.RedisError as error:
        delayed.set(True)
        logger.warning("%d tickets are delayed, Redis is unavailable: %s", len(queue.issued), error)
    notifier.notify(queue.changed)
