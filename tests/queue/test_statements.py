"""The number of statements of a commit, which does not depend on the number of tasks."""

from contextlib import contextmanager

import pytest
from django.db import connection

from executor.queue.batch_queue import BatchQueue
from executor.queue.dispatch import fill_slots, open_batches
from tests.factories import FakeWorker, add_tasks, completed, make_batch, new_task, start

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def counted():
    """Record the statements of a transaction except its begin and end; those of one round trip count singly."""
    heard: list[str] = []

    def listen(run, text, *rest):
        if text.split()[0] not in ("BEGIN", "SAVEPOINT", "RELEASE"):
            heard.append(text)
        return run(text, *rest)

    with connection.execute_wrapper(listen):
        yield heard


@pytest.mark.parametrize("slots", [5, 100])
def test_commit_of_a_worker(slots):
    """Outcomes, claims for the slots that became free, tickets, frame and counters."""
    batch, worker = make_batch(max_concurrent=slots), FakeWorker()
    add_tasks(batch, 3 * slots)
    start(batch)
    held = worker.claim(batch, slots=slots)
    assert len(held) == slots
    with counted() as heard, BatchQueue([batch.pk], worker.name) as queue:
        assert queue.record_outcomes([completed(task) for task in held], worker.name) == slots
        assert len(queue.claim_more(slots, worker.name)) == slots
        fill_slots(queue)
    # The lock, the clock, the worker's heartbeat, outcomes, candidates, tickets out, claims, frame, counters.
    assert len(heard) <= 9, "\n".join(heard)


@pytest.mark.parametrize("tasks", [1, 100])
def test_add_to_a_running_batch(tasks):
    batch = make_batch()
    add_tasks(batch)
    start(batch)
    with counted() as heard, open_batches([batch.pk]) as queue:
        queue.add(batch.pk, [new_task() for _ in range(tasks)])
    # The lock, the clock, rows; tickets out, what waits, its dispatch; frame, counters.
    assert len(heard) <= 8, "\n".join(heard)
