"""The order of queued tasks, and the choice of tickets to issue.

A ticket only wakes an idle worker; once awake it claims further tasks from the database. So a few tickets a priority
are enough, and a lost one costs little.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from executor.db.dialect import in_clause, not_in_clause, to_db_id, to_db_time
from executor.db.statements import execute, query
from executor.domain.messages import Candidate, Ticket
from executor.domain.states import PRIORITIES, TaskStatus
from executor.models import BatchTask

from . import statements
from .locked_batch import LockedBatch
from .statements import candidates
from .transaction import QueueTransaction, chunks

TICKETS_PER_PRIORITY = 2  # of one batch, waiting for a worker; one may be lost


class Scheduling(QueueTransaction):
    """Choose candidates, and mark the tasks whose tickets are issued."""

    def select_due_tickets(self, batch: LockedBatch) -> list[Candidate]:
        """Return the tasks whose tickets should be issued now, best first.

        At most TICKETS_PER_PRIORITY are out for each priority, and never more than the slots that waiting tasks of a
        higher priority leave free.
        """
        waiting = [priority for priority in PRIORITIES if batch.counters[priority.queued_counter]]
        if batch.free_slots <= 0 or not waiting:
            return []
        chosen: list[Candidate] = []
        batch_id = to_db_id(batch.batch_id)
        tickets_out = dict(query(statements.COUNT_TICKETS, [batch_id]))
        room = batch.free_slots
        for priority in waiting:
            wanted = min(TICKETS_PER_PRIORITY, room) - tickets_out.get(priority, 0)
            if wanted > 0:
                chosen += candidates(query(statements.WITHOUT_TICKET_OF_PRIORITY, [batch_id, priority, wanted]))
            if priority == waiting[-1]:
                break
            [(count,)] = query(statements.COUNT_WITHOUT_TICKET, [batch_id, priority, room])
            room -= tickets_out.get(priority, 0) + count
            if room <= 0:
                break
        return chosen

    def select_candidates(self, batch: LockedBatch, limit: int) -> list[Candidate]:
        """Return up to `limit` tasks without a ticket that may get a slot now, best first.

        Slots that tickets of the same or a higher priority are out for are left to those tickets.
        """
        wanted = min(limit, batch.free_slots)
        if wanted <= 0 or not batch.counters[TaskStatus.QUEUED]:
            return []
        batch_id = to_db_id(batch.batch_id)
        found = candidates(query(statements.WITHOUT_TICKET, [batch_id, wanted]))
        tickets_out = query(statements.COUNT_TICKETS, [batch_id]) if found else []
        chosen: list[Candidate] = []
        for task in found:
            ahead = sum(count for priority, count in tickets_out if priority >= task.priority)
            if ahead + len(chosen) >= batch.free_slots:
                break
            chosen.append(task)
        return chosen

    def prefer_higher(self, batch: LockedBatch, tasks: list[Candidate], slots: int) -> list[Candidate]:
        """Return the best `slots` tasks among these, which are sorted, and any queued task of a higher priority.

        Also one whose ticket is out: a dead worker may hold it.
        """
        if slots and tasks and batch.has_queued_above(tasks[-1].priority):
            tasks = sorted(tasks + self._of_higher_priority(batch, tasks), key=lambda task: task.rank)
        return tasks[:slots]

    def dispatch(self, batch: LockedBatch, tasks: Sequence[Candidate]) -> None:
        """Mark the tickets of these tasks as issued; they are sent to Redis after the commit."""
        for chunk in chunks([task.task_id for task in tasks]):
            condition, ids = in_clause(chunk)
            execute(statements.MARK_DISPATCHED.format(ids=condition), [to_db_time(batch.now), *ids])
        self.issued += [Ticket(task.task_id, task.attempt + 1, batch.batch_id, task.priority) for task in tasks]

    def clear_tickets(self, task_ids: Sequence[UUID]) -> None:
        """Mark these tasks as having no ticket: it was lost, or refused for lack of a slot."""
        for chunk in chunks(task_ids):
            condition, ids = in_clause(chunk)
            execute(statements.CLEAR_DISPATCHED.format(ids=condition), ids)

    def clear_run_after(self, batch_id: UUID) -> None:
        """Clear the `run_after` of tasks whose time has come, so that they can be claimed."""
        due = BatchTask.objects.filter(
            batch_id=batch_id, status=TaskStatus.QUEUED, run_after__lte=self.batch(batch_id).now
        )
        due.update(run_after=None)

    def _of_higher_priority(self, batch: LockedBatch, tasks: Sequence[Candidate]) -> list[Candidate]:
        """Return queued tasks of a higher priority than the lowest of these."""
        condition, ids = not_in_clause([task.task_id for task in tasks])
        parameters = [to_db_id(batch.batch_id), tasks[-1].priority, *ids, len(tasks)]
        template = statements.OF_HIGHER_PRIORITY
        texts = (template.format(ticket=ticket, excluded=condition) for ticket in ("NULL", "NOT NULL"))
        return [task for text in texts for task in candidates(query(text, parameters))]
