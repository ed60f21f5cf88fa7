"""Claiming: queued → running. The batch's lock makes `max_concurrent` hold."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Sequence
from uuid import UUID

from executor.db.dialect import from_db_time, in_clause, to_db_id, to_db_time
from executor.db.statements import query
from executor.domain.messages import Candidate, Claim, ClaimedTask, Ticket
from executor.domain.states import Priority, TaskStatus

from . import statements
from .locked_batch import LockedBatch
from .scheduling import Scheduling
from .statements import ClaimRow, candidates
from .transaction import InvariantBroken, by_batch, chunks


class Claiming(Scheduling):
    """The verb `claim`: with tickets, or further tasks for the free slots of a worker that is awake."""

    def claim_tickets(self, tickets: Sequence[Ticket], worker: str, room: int | None = None) -> list[ClaimedTask]:
        """Claim the tasks of these tickets, at most `room` of them (default: all).

        A ticket whose attempt is not the task's next one is stale and dropped. A ticket for which there is no slot goes
        back. A queued task of a higher priority takes the slot of a lower one that came with a ticket, so that a late
        critical task starts with the next free slot, wherever its own ticket is.
        """
        valid = {
            batch_id: self._valid(self.batches[batch_id], group)
            for batch_id, group in by_batch(tickets).items()
            if batch_id in self.batches
        }
        ranked = sorted((-task.priority, batch_id) for batch_id, tasks in valid.items() for task in tasks)
        places = Counter(batch_id for _, batch_id in ranked[:room])
        claimed: list[ClaimedTask] = []
        for batch_id, tasks in valid.items():
            batch = self.batches[batch_id]
            chosen = self.prefer_higher(batch, tasks, max(0, min(batch.free_slots, places[batch_id])))
            kept = {task.task_id for task in chosen}
            self.clear_tickets([task.task_id for task in tasks if task.task_id not in kept])
            claimed += self.claim(batch, chosen, worker)
        return claimed

    def claim_more(self, slots: int, worker: str, priorities: Container[int] = tuple(Priority)) -> list[ClaimedTask]:
        """Claim up to `slots` tasks without a ticket, highest priority first, round-robin over the locked batches."""
        ranked: list[tuple[int, int, UUID, Candidate]] = []
        for batch_id, batch in self.batches.items():
            tasks = self.select_candidates(batch, slots)
            best = [task for task in self.prefer_higher(batch, tasks, len(tasks)) if task.priority in priorities]
            ranked += [(-task.priority, place, batch_id, task) for place, task in enumerate(best)]
        if len(self.batches) > 1:
            ranked.sort()
        chosen: dict[UUID, list[Candidate]] = defaultdict(list)
        for _, _, batch_id, task in ranked[:slots]:
            chosen[batch_id].append(task)
        return [
            task for batch_id, tasks in chosen.items() for task in self.claim(self.batches[batch_id], tasks, worker)
        ]

    def claim(self, batch: LockedBatch, tasks: Sequence[Candidate], worker: str) -> list[ClaimedTask]:
        """Assign these tasks to a worker, in their order: queued → running, `attempt` + 1.

        Raises InvariantBroken for more tasks than free slots.
        """
        if not tasks:
            return []
        if len(tasks) > batch.free_slots:
            raise InvariantBroken(f"{len(tasks)} claims for {batch.free_slots} free slots of batch {batch.batch_id}")
        rows: dict[int, ClaimRow] = {}
        for chunk in chunks(tasks):
            condition, ids = in_clause([task.task_id for task in chunk])
            claims = query(statements.CLAIM.format(ids=condition), [worker, to_db_time(batch.now), *ids])
            rows |= {row[0]: ClaimRow(*row) for row in claims}
        return [self._claimed(batch, task, rows[task.number], worker) for task in tasks if task.number in rows]

    def _claimed(self, batch: LockedBatch, task: Candidate, row: ClaimRow, worker: str) -> ClaimedTask:
        batch.count_out(TaskStatus.QUEUED, task.priority)
        batch.count_in(TaskStatus.RUNNING, task.priority)
        if row.attempt == 1:
            batch.counters["started"] += 1
            created_at = from_db_time(row.created_at) or batch.now
            batch.counters["total_wait_time"] += max(0.0, (batch.now - created_at).total_seconds())
        batch.record_change(row.number, TaskStatus.RUNNING, row.attempt, worker, batch.now)
        return ClaimedTask(
            claim=Claim(task.task_id, batch.batch_id, row.attempt),
            number=row.number,
            priority=task.priority,
            function=row.function,
            params=row.params,
            timeout=row.timeout,
            retry_count=row.retry_count,
            max_retries=row.max_retries,
            name=row.name,
            custom_id=row.custom_id,
            owner=batch.owner,
        )

    def _valid(self, batch: LockedBatch, tickets: Sequence[Ticket]) -> list[Candidate]:
        """Return the tasks of those tickets that are for the next attempt of a queued task, best first."""
        attempts = {(ticket.task_id, ticket.attempt) for ticket in tickets}
        condition, ids = in_clause(sorted({task_id for task_id, _ in attempts}))
        rows = candidates(query(statements.BY_ID.format(ids=condition), [*ids, to_db_id(batch.batch_id)]))
        valid = [task for task in rows if (task.task_id, task.attempt + 1) in attempts]
        return sorted(valid, key=lambda task: task.rank)
