"""Repair after faults: lost workers, lost tickets, and due tasks.

Every worker runs it about once a second; any number may run at once.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import F, Q

from executor.broker import tickets
from executor.db.clock import SYSTEM_CLOCK, Clock
from executor.db.dialect import database_now, from_db_time, to_db_time
from executor.db.failpoints import failpoint
from executor.db.statements import query
from executor.domain.messages import Claim, Lost, Ticket
from executor.domain.states import BatchState, TaskStatus
from executor.models import Batch, BatchTask, WorkerNode

from . import statements
from .dispatch import open_batches

logger = logging.getLogger(__name__)


def repair(rescue: bool = True, ticket_limit: float | None = None, clock: Clock = SYSTEM_CLOCK) -> None:
    """Run one round: rescue tasks of lost workers, release due tasks, issue lost tickets again, fill free slots."""
    if rescue:
        rescue_lost_workers(clock)
    wake_due_tasks()
    reissue_lost_tickets(ticket_limit)


def rescue_lost_workers(clock: Clock = SYSTEM_CLOCK) -> None:
    """Rescue every running task whose worker is dead, silent for BATCH_HEARTBEAT_LIMIT, or gone."""
    now, limit = clock.database_now(), timedelta(seconds=settings.BATCH_HEARTBEAT_LIMIT)
    # A heartbeat in the future was sent before the clock was set back.
    first, last = now - limit, now + limit
    is_fresh = Q(heartbeat_at__range=(first, last))
    for [name] in query(statements.LOST_WORKERS, [to_db_time(first), to_db_time(last)]):
        held = BatchTask.objects.filter(worker=name, status=TaskStatus.RUNNING)
        batches = set(held.order_by().values_list("batch_id", flat=True).distinct())
        with open_batches(batches) as queue:
            if not declare_dead(name, is_fresh):
                continue
            failpoint("mid-repair", batches)
            error = f"The worker {name} has sent no heartbeat for {settings.BATCH_HEARTBEAT_LIMIT:g} s."
            claims = held.values_list("task_id", "batch_id", "attempt")
            lost = [Lost(Claim(*claim), error) for claim in claims]
            queue.record_outcomes(lost, name)
            logger.warning("worker %s is lost; %d tasks rescued", name, len(lost))


def declare_dead(name: str, is_fresh: Q) -> bool:
    """Mark a worker dead, unless it has sent a heartbeat since; return whether its tasks are lost.

    Call under the locks of its batches. The statement that marks it checks the heartbeat again. A suspended worker
    finds itself marked dead when it resumes, and kills its children.
    """
    node = WorkerNode.objects.filter(name=name, state__in=WorkerNode.ALIVE)
    marked = node.filter(~is_fresh).update(state=WorkerNode.State.DEAD)
    return bool(marked) or not node.exists()


def wake_due_tasks() -> None:
    """Let tasks go whose retry or start time has come."""
    due = BatchTask.objects.filter(status=TaskStatus.QUEUED, run_after__lte=database_now())
    for batch_id in due.order_by().values_list("batch_id", flat=True).distinct():
        with open_batches([batch_id]) as queue:
            queue.clear_run_after(batch_id)


def seconds_until_due() -> float | None:
    """Return how long until the next waiting task is due; None when none waits."""
    [(first,)] = query(statements.FIRST_DUE)
    due = from_db_time(first)
    return None if due is None else max(0.0, (due - database_now()).total_seconds())


def reissue_lost_tickets(limit: float | None = None) -> None:
    """Issue tickets again that were issued `limit` seconds ago (BATCH_TICKET_LIMIT) and are in no queue.

    Slots that stayed empty are filled too. A ticket that a worker holds is issued twice then, and refused once.
    """
    cutoff = database_now() - timedelta(seconds=settings.BATCH_TICKET_LIMIT if limit is None else limit)
    open_batch_ids = Batch.objects.filter(
        state=BatchState.RUNNING, stats__queued__gt=0, stats__running__lt=F("max_concurrent")
    ).values_list("batch_id", flat=True)
    in_queues: set[str] | None = None
    for batch_id in open_batch_ids:
        out = BatchTask.objects.filter(batch_id=batch_id, status=TaskStatus.QUEUED, dispatched_at__isnull=False)
        stale = list(out.filter(dispatched_at__lt=cutoff).values_list("task_id", "attempt"))
        if stale and in_queues is None:
            try:
                in_queues = tickets.waiting()
            except tickets.RedisError:
                return  # nothing can be issued now
        lost = _lost_tickets(batch_id, stale, in_queues or set())
        # A batch with queued tasks and no ticket out: its slots were freed by a process that ended before it filled
        # them.
        if lost or not out.exists():
            with open_batches([batch_id]) as queue:
                queue.clear_tickets(lost)


def _lost_tickets(batch_id: UUID, stale: Sequence[tuple[UUID, int]], in_queues: set[str]) -> list[UUID]:
    """Return the tasks whose tickets are in no queue."""
    names = {tickets.name_of(Ticket(task_id, attempt + 1, batch_id)): task_id for task_id, attempt in stale}
    return [task_id for name, task_id in names.items() if name not in in_queues]
