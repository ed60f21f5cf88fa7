"""The function of a ticket in a stock RQ worker: one attempt, from claim to outcome, in this process."""

from __future__ import annotations

import asyncio
from uuid import UUID

from django.conf import settings
from django.db import close_old_connections, connection

from executor.domain.messages import Cancelled, ClaimedTask, Completed, Outcome, Released, Ticket
from executor.models import WorkerNode
from executor.queue.dispatch import open_batches

from .attempt import Attempt, Stop
from .child_pool import ChildPool
from .heartbeat import POLL_INTERVAL, Heartbeat
from .liveness import new_name, register


def run_ticket(task_id: str, attempt: int, batch_id: str) -> str:
    """Run attempt `attempt` of a task, if its ticket is still valid; return its outcome. Ids are hex digits."""
    close_old_connections()
    name = new_name("rq")
    register(name, concurrency=1)
    try:
        ticket = Ticket(UUID(task_id), attempt, UUID(batch_id))
        with open_batches([ticket.batch_id]) as queue:
            claimed = queue.claim_tickets([ticket], name)
        if not claimed:
            return "refused: stale, or no slot is free"
        return _summary(asyncio.run(_run(claimed[0], name)))
    finally:
        WorkerNode.objects.filter(name=name).delete()  # it existed for this one ticket
        connection.close()


def _summary(outcome: Outcome | None) -> str:
    match outcome:
        case None:
            return "given up: the claim was lost"
        case Completed():
            return "completed"
        case Cancelled():
            return "cancelled"
        case Released():
            return "released"
    return "failed"


class _OneAttempt:
    """The listener of the heartbeat while one attempt runs."""

    def __init__(self, attempt: Attempt, ended: asyncio.Future[Outcome | None]):
        self._attempt, self._ended = attempt, ended
        self._loop = asyncio.get_running_loop()

    def held(self) -> dict[UUID, int]:
        task = self._attempt.task
        return {} if self._ended.done() else {task.task_id: task.attempt}

    def stop_attempt(self, task_id: UUID, attempt: int, why: Stop) -> None:
        self._loop.call_soon_threadsafe(self._attempt.stop, why)

    def declared_dead(self) -> None:
        self._loop.call_soon_threadsafe(self._attempt.stop, Stop.CLAIM_LOST)

    def overdue(self) -> float:
        return 0.0 if self._ended.done() else self._attempt.overdue


async def _run(task: ClaimedTask, name: str) -> Outcome | None:
    ended: asyncio.Future[Outcome | None] = asyncio.get_running_loop().create_future()
    children = ChildPool(1)
    attempt = Attempt(
        task, children, on_end=lambda _, outcome: ended.set_result(outcome), on_progress=lambda report: None
    )
    heartbeat = Heartbeat(name, _OneAttempt(attempt, ended), grace=settings.BATCH_HEARTBEAT)
    heartbeat.start()
    try:
        outcome = await ended
        if outcome is not None:
            # Before the heartbeat ends: a running task of a stopped worker counts as lost.
            await asyncio.to_thread(_record, outcome, name)
        return outcome
    finally:
        heartbeat.set_state(WorkerNode.State.STOPPED)
        children.close()
        await asyncio.to_thread(heartbeat.join, POLL_INTERVAL + settings.BATCH_HEARTBEAT)


def _record(outcome: Outcome, name: str) -> None:
    try:
        with open_batches([outcome.claim.batch_id]) as queue:
            queue.record_outcomes([outcome], name)
    finally:
        connection.close()
