"""Who goes next, and what to do when something was lost.

`open_batches` is how the rest of the program opens a BatchQueue: before the commit the free slots are filled, after it
the tickets are issued and the bell is rung. `repair` makes good what a fault left behind; any number of processes may
run it at once.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from executor.broker import notifier, tickets
from executor.db.dialect import database_now, hex_of, note_growth, time_of, time_param
from executor.db.failpoints import failpoint
from executor.db.statements import query
from executor.domain.errors import WorkerLost
from executor.domain.messages import Outcome, Ticket
from executor.domain.states import BatchState, TaskStatus
from executor.models import Batch, BatchTask, WorkerNode

from .batch_queue import BatchQueue

logger = logging.getLogger(__name__)

# Workers that should be heard of and are not, and those that hold tasks and are not known to live.
_LOST = """
    WITH alive AS (
        SELECT name, heartbeat_at BETWEEN %s AND %s AS heard
        FROM executor_workernode WHERE state IN ('active', 'draining')
    )
    SELECT name FROM alive WHERE NOT heard
    UNION
    SELECT worker FROM executor_batchtask
    WHERE status = 'running' AND worker NOT IN (SELECT name FROM alive WHERE heard)
"""
_FIRST_DUE = """
    SELECT min(run_after) FROM executor_batchtask JOIN executor_batch USING (batch_id)
    WHERE status = 'queued' AND run_after IS NOT NULL AND state = 'running'
"""

MANY = 1000  # tasks of one call, after which the database looks at how large the table has become

# Whether tickets of the current call could not be issued: the answer says so, repair issues them later.
delayed: ContextVar[bool] = ContextVar("delayed", default=False)


@contextmanager
def open_batches(batch_ids: Iterable) -> Iterator[BatchQueue]:
    """One transaction over these batches that ends with tickets out for their free slots."""
    with BatchQueue(batch_ids) as queue:
        yield queue
        fill(queue)
        transaction.on_commit(lambda: deliver(queue), robust=True)
        if queue.added >= MANY:
            transaction.on_commit(partial(note_growth, BatchTask._meta.db_table), robust=True)


def fill(queue: BatchQueue, leaving: Container[str] = ()) -> None:
    """Let tickets go out for every batch that has tasks waiting and slots for them, but those that are left to others
    who look by themselves."""
    for batch_id, book in queue.books.items():
        if batch_id not in leaving:
            queue.dispatch(book, queue.due_tickets(book))


def deliver(queue: BatchQueue) -> None:
    """What follows a commit: take tickets back, issue tickets, ring the bell. A Redis that is away changes nothing but
    the time."""
    failpoint("before-push", queue.issued)
    try:
        if queue.withdrawn:
            tickets.withdraw(queue.withdrawn)
        tickets.issue(queue.issued)
    except tickets.RedisError as error:
        delayed.set(True)
        logger.warning("%d tickets are delayed, Redis is away: %s", len(queue.issued), error)
    notifier.ring(queue.changed)


def repair(rescue: bool = True, ticket_limit: float | None = None) -> None:
    """One round of repair: rescue the tasks of lost workers, let waiting tasks go whose time has come, issue tickets
    again that were lost, fill what is free."""
    if rescue:
        rescue_lost_workers()
    release_due_tasks()
    reissue_lost_tickets(ticket_limit)


def rescue_lost_workers() -> None:
    """Fail, as WorkerLost, every running task whose worker is dead, silent for too long, or gone."""
    now, limit = database_now(), timedelta(seconds=settings.BATCH_HEARTBEAT_LIMIT)
    # A heartbeat of the future is one from before the clock was set back.
    first, last = now - limit, now + limit
    heard = Q(heartbeat_at__range=(first, last))
    for [name] in query(_LOST, [time_param(first), time_param(last)]):
        held = BatchTask.objects.filter(worker=name, status=TaskStatus.RUNNING)
        batches = set(held.order_by().values_list("batch_id", flat=True).distinct())
        with open_batches(batches) as queue:
            # The same question again, now in the transaction and by the statement that acts on it: it may have been
            # heard of since. Marking it dead tells a sleeper, when it wakes, that its children must go.
            node = WorkerNode.objects.filter(name=name, state__in=_ALIVE)
            dead = node.filter(~heard).update(state=WorkerNode.State.DEAD)
            if not dead and node.exists():
                continue
            failpoint("mid-repair", batches)
            error = f"The worker {name} was not heard of for {settings.BATCH_HEARTBEAT_LIMIT:g} s."
            lost = [
                Outcome(hex_of(task_id), hex_of(batch_id), attempt, TaskStatus.FAILED, error=error,
                        error_kind=WorkerLost.kind)
                for task_id, batch_id, attempt in held.values_list("task_id", "batch_id", "attempt")
            ]  # fmt: skip
            queue.settle(lost, name)
            logger.warning("worker %s is lost; %d tasks rescued", name, len(lost))


def release_due_tasks() -> None:
    """Let tasks go whose retry or start time has come."""
    due = BatchTask.objects.filter(status=TaskStatus.QUEUED, run_after__lte=database_now())
    for batch_id in due.order_by().values_list("batch_id", flat=True).distinct():
        with open_batches([batch_id]) as queue:
            queue.make_due(batch_id)


def seconds_until_due() -> float | None:
    """How long until the next waiting task may go; None when none waits."""
    [(first,)] = query(_FIRST_DUE)
    return None if first is None else max(0.0, (time_of(first) - database_now()).total_seconds())


def reissue_lost_tickets(limit: float | None = None) -> None:
    """Issue tickets again that are out for so many seconds (BATCH_TICKET_LIMIT) and wait in no queue, and fill slots
    that stayed empty. One that a worker holds comes twice then, and is refused."""
    cutoff = database_now() - timedelta(seconds=settings.BATCH_TICKET_LIMIT if limit is None else limit)
    running = Batch.objects.filter(state=BatchState.RUNNING, stats__queued__gt=0).values_list("batch_id", flat=True)
    waiting: set[str] | None = None
    for batch_id in running:
        out = BatchTask.objects.filter(batch_id=batch_id, status=TaskStatus.QUEUED, dispatched_at__isnull=False)
        stale = list(out.filter(dispatched_at__lt=cutoff).values_list("task_id", "attempt"))
        lost = []
        if stale:
            try:
                waiting = tickets.waiting() if waiting is None else waiting
            except tickets.RedisError:
                return  # nothing can be issued now
            named = {tickets.name_of(Ticket(hex_of(pk), attempt + 1, hex_of(batch_id))): pk for pk, attempt in stale}
            lost = [hex_of(pk) for name, pk in named.items() if name not in waiting]
        # A batch with queued tasks, no ticket out and nothing running is stuck: a fill was lost with its process.
        if lost or not out.exists():
            with open_batches([batch_id]) as queue:
                queue.reissue(batch_id, lost)


_ALIVE = (WorkerNode.State.ACTIVE, WorkerNode.State.DRAINING)
