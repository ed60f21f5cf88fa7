"""The limit of running tasks, and the order in which tasks are claimed."""

import random
import sqlite3

import pytest
from django.db import connection

from executor.domain.states import Priority, TaskStatus
from executor.models import BatchTask
from executor.queue.batch_queue import BatchQueue
from executor.queue.dispatch import open_batches
from executor.queue.scheduling import TICKETS_PER_PRIORITY
from tests.factories import (
    FakeWorker,
    add_tasks,
    cancel,
    make_batch,
    new_task,
    numbers,
    reload,
    running_batch,
    set_priority,
    start,
    ticket_for,
    tickets_out,
)

LOW, MEDIUM, HIGH, CRITICAL = sorted(Priority)


def _running(batch) -> int:
    return BatchTask.objects.filter(batch=batch, status=TaskStatus.RUNNING).count()


def _limit(batch, limit):
    with open_batches([batch.pk]) as queue:
        queue.set_max_concurrent(batch.pk, limit)


@pytest.mark.parametrize("seed", range(2))
def test_several_workers_never_exceed_the_limit(seed):
    chance = random.Random(seed)
    batch = make_batch(max_concurrent=4)
    tasks = add_tasks(batch, 20, max_retries=1)
    start(batch)
    workers = [FakeWorker() for _ in range(3)]
    held = {worker.name: [] for worker in workers}
    everything = [ticket_for(task) for task in tasks]
    full = 0
    for _ in range(600):
        worker = chance.choice(workers)
        if held[worker.name] and chance.random() < 0.5:
            task = held[worker.name].pop(chance.randrange(len(held[worker.name])))
            chance.choice([worker.complete, worker.fail, worker.release])(task)
        else:
            # Tickets that are out, and some that were never issued: only the claim itself can hold the limit.
            tickets = tickets_out(batch)[:3] + chance.sample(everything, 3)
            held[worker.name] += worker.claim_tickets(*tickets)
        running = _running(batch)
        assert running <= 4
        full += running == 4
        if batch.tasks.exclude(status__in=["completed", "failed"]).count() == 0:
            break
    assert full > 10, "the limit was never reached: this proved nothing"


def test_tickets_go_out_while_slots_are_free():
    batch = make_batch(max_concurrent=4)
    add_tasks(batch, 10)
    assert tickets_out(batch) == []
    start(batch)
    assert len(tickets_out(batch)) == TICKETS_PER_PRIORITY
    worker = FakeWorker()
    claimed = worker.claim(batch, slots=2)
    assert len(tickets_out(batch)) == TICKETS_PER_PRIORITY, "another worker may come"
    claimed += worker.claim(batch, slots=1)
    assert len(tickets_out(batch)) == 1
    claimed += worker.claim(batch, slots=1)
    assert tickets_out(batch) == [] and len(claimed) == 4
    worker.complete(claimed[0])
    assert len(tickets_out(batch)) == 1


def test_claim_with_one_ticket_takes_further_queued_tasks():
    batch, _ = running_batch(*[MEDIUM] * 5, *[LOW] * 5, max_concurrent=10)
    with open_batches([batch.pk]) as queue:
        name = FakeWorker().name
        claimed = queue.claim_tickets(tickets_out(batch)[:1], name)
        claimed += queue.claim_more(10, name, priorities={MEDIUM})
    assert numbers(claimed) == [1, 2, 3, 4, 5], "and nothing of a priority that it does not serve"


def test_batches_share_the_slots_of_a_worker_in_turn():
    one, _ = running_batch(*[MEDIUM] * 10, max_concurrent=10)
    two, _ = running_batch(*[MEDIUM] * 10, max_concurrent=10)
    claimed = FakeWorker().claim(one, two, slots=8)
    assert [sum(task.batch_id == batch.pk for task in claimed) for batch in (one, two)] == [4, 4]


def test_batch_with_higher_priority_gets_the_slots_of_a_worker():
    low, _ = running_batch(*[LOW] * 10, max_concurrent=10)
    high, _ = running_batch(*[HIGH] * 10, max_concurrent=10)
    claimed = FakeWorker().claim(low, high, slots=8)
    mine = [task for task in claimed if task.batch_id == low.pk]
    assert len(mine) <= TICKETS_PER_PRIORITY < len(claimed) - TICKETS_PER_PRIORITY, (
        "its tickets were taken, and nothing else of it"
    )


def test_each_priority_has_its_own_tickets():
    """A worker may serve some queues only: tickets of one priority must not keep those of another from going out."""
    batch, _ = running_batch(*[CRITICAL] * 5, *[LOW] * 5, max_concurrent=7)
    assert [ticket.priority for ticket in tickets_out(batch)] == [CRITICAL] * TICKETS_PER_PRIORITY + [
        LOW
    ] * TICKETS_PER_PRIORITY
    batch, _ = running_batch(*[CRITICAL] * 5, *[LOW] * 5, max_concurrent=6)
    assert [ticket.priority for ticket in tickets_out(batch)] == [CRITICAL] * TICKETS_PER_PRIORITY + [LOW]
    batch, _ = running_batch(*[CRITICAL] * 5, *[LOW] * 5, max_concurrent=5)
    assert [ticket.priority for ticket in tickets_out(batch)] == [CRITICAL] * TICKETS_PER_PRIORITY


def test_ticket_without_a_free_slot_is_issued_again_later():
    batch = make_batch(max_concurrent=1)
    first, second = add_tasks(batch, 2)
    start(batch)
    worker = FakeWorker()
    [claimed] = worker.claim_tickets(ticket_for(first))
    # As if its ticket had gone out while there was a slot for it:
    BatchTask.objects.filter(pk=second.pk).update(dispatched_at=reload(first).started_at)
    assert FakeWorker().claim_tickets(ticket_for(second)) == []
    assert reload(second).dispatched_at is None
    worker.complete(claimed)
    assert numbers(worker.claim(batch)) == [2]


def test_lower_limit_applies_from_the_next_claim():
    batch = make_batch(max_concurrent=4)
    add_tasks(batch, 10)
    start(batch)
    worker = FakeWorker()
    claimed = worker.claim(batch)
    assert len(claimed) == 4
    _limit(batch, 2)
    assert _running(batch) == 4
    worker.complete(*claimed[:2])
    assert worker.claim(batch) == [] == tickets_out(batch)
    worker.complete(claimed[2])
    assert len(worker.claim(batch)) == 1
    assert _running(batch) == 2


def test_lower_limit_refuses_outstanding_tickets():
    batch = make_batch(max_concurrent=4)
    add_tasks(batch, 4)
    start(batch)
    tickets = tickets_out(batch)
    _limit(batch, 1)
    assert len(FakeWorker().claim_tickets(*tickets)) == 1


def test_higher_limit_issues_tickets_at_once():
    batch = make_batch(max_concurrent=1)
    add_tasks(batch, 10)
    start(batch)
    _limit(batch, 6)
    assert len(FakeWorker().claim(batch)) == 6


def test_tasks_are_claimed_by_priority_then_number():
    batch, _ = running_batch(LOW, HIGH, MEDIUM, CRITICAL, HIGH, LOW, CRITICAL, max_concurrent=1)
    worker, order = FakeWorker(), []
    while claimed := worker.claim(batch):
        order += numbers(claimed)
        worker.complete(*claimed)
    assert order == [4, 7, 2, 5, 3, 1, 6]


def test_critical_task_takes_the_slot_of_a_low_ticket():
    batch, low = running_batch(LOW, LOW, max_concurrent=2)
    tickets = tickets_out(batch)
    [critical] = add_tasks(batch, priority=CRITICAL)
    worker, own = FakeWorker(), ticket_for(critical)
    # The LOW tickets come first, the CRITICAL's own is still on its way.
    [first] = worker.claim_tickets(tickets[0])
    assert first.number == critical.number
    assert numbers(worker.claim_tickets(tickets[1])) == [low[1].number]
    assert reload(low[0]).status == TaskStatus.QUEUED
    assert worker.claim_tickets(own) == [] == worker.claim(batch)
    worker.complete(first)
    assert numbers(worker.claim(batch)) == [low[0].number]


def test_critical_task_gets_a_ticket_beside_low_tickets():
    batch, _ = running_batch(LOW, LOW, max_concurrent=2)
    assert len(tickets_out(batch)) == 2
    [critical] = add_tasks(batch, priority=CRITICAL)
    assert tickets_out(batch)[0].task_id == critical.pk
    assert len(tickets_out(batch)) == 3


def test_low_ticket_starts_a_critical_task_without_ticket():
    """A lost ticket delays nothing while another ticket of the batch arrives."""
    batch, [low] = running_batch(LOW, max_concurrent=1)
    ticket = ticket_for(low)
    [critical] = add_tasks(batch, priority=CRITICAL)
    BatchTask.objects.filter(pk=critical.pk).update(dispatched_at=None)
    assert numbers(FakeWorker().claim_tickets(ticket)) == [critical.number]


def test_critical_task_with_a_start_time_takes_no_slot():
    batch, [low] = running_batch(LOW, max_concurrent=1)
    later = reload(low).created_at.replace(year=2999)
    add_tasks(batch, priority=CRITICAL, run_after=later)
    assert numbers(FakeWorker().claim(batch)) == [low.number]


@pytest.mark.parametrize("seed", range(2))
def test_no_task_is_claimed_before_one_of_higher_priority(seed):
    chance = random.Random(seed)
    batch = make_batch(max_concurrent=3)
    add_tasks(batch, 3, priority=LOW)
    start(batch)
    workers, held = [FakeWorker() for _ in range(3)], []
    for _ in range(120):
        act = chance.random()
        if act < 0.3:
            add_tasks(batch, priority=chance.choice([*Priority]))
        elif act < 0.6 and held:
            worker, task = held.pop(chance.randrange(len(held)))
            chance.choice([worker.complete, worker.release])(task)
        elif tickets := tickets_out(batch):
            worker = chance.choice(workers)
            claimed = worker.claim_tickets(*chance.sample(tickets, chance.randint(1, min(3, len(tickets)))))
            held += [(worker, task) for task in claimed]
            waiting = batch.tasks.filter(status=TaskStatus.QUEUED, run_after=None).values_list("priority", flat=True)
            if claimed and waiting:
                assert min(task.priority for task in claimed) >= max(waiting)


def test_set_priority_moves_a_task_and_its_ticket():
    batch, tasks = running_batch(MEDIUM, MEDIUM, MEDIUM, max_concurrent=1)
    assert [ticket.task_id for ticket in tickets_out(batch)] == [tasks[0].pk]
    assert set_priority(CRITICAL, tasks[2]) == 1
    assert tickets_out(batch)[0] == ticket_for(tasks[2])
    assert numbers(FakeWorker().claim(batch, slots=1)) == [3]


def test_set_priority_withdraws_and_reissues_the_ticket():
    batch, _ = running_batch(MEDIUM)
    with open_batches([batch.pk]) as queue:
        queue.set_priority(batch.pk, BatchTask.objects.filter(batch=batch), HIGH)
        withdrawn, issued = queue.withdrawn, queue.issued
    assert [ticket.priority for ticket in withdrawn] == [MEDIUM]
    assert [ticket.priority for ticket in issued] == [HIGH]


def test_set_priority_to_the_same_value_changes_nothing():
    batch, [task] = running_batch(HIGH)
    batch.stats.refresh_from_db()
    seq = batch.stats.seq
    assert set_priority(HIGH, task) == 0
    batch.stats.refresh_from_db()
    assert batch.stats.seq == seq


def test_batches_have_separate_limits():
    one, _ = running_batch(*[MEDIUM] * 4, max_concurrent=2)
    two, _ = running_batch(*[MEDIUM] * 4, max_concurrent=3)
    claimed = FakeWorker().claim(one, two)
    assert sorted(task.batch_id for task in claimed) == sorted([one.pk] * 2 + [two.pk] * 3)


@pytest.fixture
def few_parameters(db):
    """Lower the parameter limit of SQLite. PostgreSQL has no such limit here."""
    if connection.vendor != "sqlite":
        yield
        return
    connection.ensure_connection()
    usual = connection.connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 1_000)
    yield
    connection.connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, usual)


def test_claim_splits_more_slots_than_statement_parameters(few_parameters):
    batch = make_batch(max_concurrent=100_000)
    with BatchQueue([batch.pk]) as queue:
        for _ in range(30):
            queue.add(batch.pk, [new_task() for _ in range(50)])
    start(batch)
    assert cancel(*batch.tasks.all()[:900])[0] == 900
    assert len(FakeWorker(2_000).claim(batch)) == 600
