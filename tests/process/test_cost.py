"""The cost of a worker's commit: transactions and round trips, whatever the number of tasks."""

from __future__ import annotations

import pytest
import redis

from executor.domain.messages import ClaimedTask
from executor.models import BatchStats
from executor.worker.completer import Completer
from executor.worker.slots import SlotPool
from tests.factories import FakeWorker, add_tasks, completed, make_batch, start
from tests.support.processes import QUEUES

ROUND_TRIPS = 20  # take and issue tickets, notify; the rest is the set-up of new connections and the measurement


class Listener:
    """A worker that counts what a completer reports."""

    def __init__(self) -> None:
        self.claimed: list[ClaimedTask] = []
        self.has_failed = False

    def committed(self, claimed: list[ClaimedTask], unused: int) -> None:
        self.claimed += claimed

    def is_waiting_for_tickets(self) -> bool:
        return False

    def completer_failed(self) -> None:
        self.has_failed = True


@pytest.mark.parametrize("count", [10, 150])
def test_outcomes_and_claims_share_a_transaction(shared_db: None, valkey: redis.Redis, count: int) -> None:
    batch, worker, slots, listener = make_batch(max_concurrent=count), FakeWorker(), SlotPool(count), Listener()
    add_tasks(batch, 2 * count)
    start(batch)
    held = worker.claim(batch, slots=slots.grant(ended=0))
    completer = Completer(worker.name, QUEUES, slots, listener)
    completer.submit([completed(task) for task in held])  # as if they had ended during the commit before
    completer.finish()
    frames, requests = seq_of(batch.pk), requests_of(valkey)
    completer.start()
    completer.join(60)
    assert not completer.is_alive() and not listener.has_failed
    assert (len(held), len(listener.claimed)) == (count, count)
    assert BatchStats.objects.get(pk=batch.pk).completed == count
    assert seq_of(batch.pk) == frames + 1  # each transaction that changes a task writes one frame
    assert requests_of(valkey) - requests <= ROUND_TRIPS
    worker.complete(*listener.claimed)


def seq_of(batch_id: object) -> int:
    """Return the number of the batch's last frame."""
    return BatchStats.objects.get(pk=batch_id).seq


def requests_of(valkey: redis.Redis) -> int:
    """Return how often Valkey has read from a socket: a pipeline counts once."""
    return int(valkey.info("stats")["total_reads_processed"])
