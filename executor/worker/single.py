"""What a ticket calls when a stock RQ worker takes it: one attempt, from claim to outcome, in this process."""

from __future__ import annotations

import asyncio

from django.conf import settings
from django.db import close_old_connections, connection

from executor.domain.messages import Claimed, Outcome, Ticket
from executor.models import WorkerNode
from executor.queue.dispatch import open_batches

from .attempt import Attempt, Stop
from .child_pool import ProcessPool
from .heartbeat import LOOK, Heartbeat, new_name, register


def run_ticket(task_id: str, attempt: int, batch_id: str) -> str:
    """Run attempt `attempt` of a task, if the database still wants it; says what became of it."""
    close_old_connections()
    name = new_name("rq")
    register(name, concurrency=1)
    try:
        with open_batches([batch_id]) as queue:
            claimed = queue.redeem([Ticket(task_id, attempt, batch_id)], name)
        if not claimed:
            return "refused: stale, or no slot is free"
        outcome = asyncio.run(_run(claimed[0], name))
        return "given up: the claim is somebody else's" if outcome is None else outcome.status
    finally:
        WorkerNode.objects.filter(name=name).delete()  # it was for this one ticket
        connection.close()


async def _run(task: Claimed, name: str) -> Outcome | None:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future = loop.create_future()
    processes = ProcessPool(1)
    attempt = Attempt(task, processes, lambda _, outcome: ended.set_result(outcome), told=lambda progress: None)
    heartbeat = Heartbeat(
        name,
        running=lambda: {} if ended.done() else {task.task_id: task.attempt},
        stop=lambda _, why: loop.call_soon_threadsafe(attempt.stop, why),
        lost=lambda: loop.call_soon_threadsafe(attempt.stop, Stop.LOST),
        overdue=lambda: 0.0 if ended.done() else attempt.overdue,
    )
    heartbeat.start()
    try:
        outcome = await ended
        if outcome is not None:
            # While the heartbeat goes on: a task that runs on a worker which has ended is taken for lost.
            await asyncio.to_thread(_record, outcome, name)
        return outcome
    finally:
        heartbeat.say(WorkerNode.State.STOPPED)
        processes.close()
        await asyncio.to_thread(heartbeat.join, LOOK + settings.BATCH_HEARTBEAT)


def _record(outcome: Outcome, name: str) -> None:
    try:
        with open_batches([outcome.batch_id]) as queue:
            queue.settle([outcome], name)
    finally:
        connection.close()
