"""What a task costs, by counting: transactions and round trips, not seconds. So no commit makes it dearer unseen."""

import pytest
from django.db import connection

from executor.broker.connection import redis_client
from executor.db.statements import is_postgresql
from tests.support.batches import item, run, submit

TASKS = 3_000


@pytest.fixture(scope="module")
def transactional_db(module_db):
    """Not emptied after each test: the worker needs its row."""


@pytest.fixture(scope="module", autouse=True)
def worker(start_worker):
    return start_worker(concurrency=50)


def commits() -> int:
    """Transactions of this database so far, by the server's own count."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush(), pg_stat_clear_snapshot()")
        cursor.execute("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
        return cursor.fetchone()[0]


def requests() -> int:
    """How often Valkey was sent something: a pipeline counts once."""
    return int(redis_client().info("stats")["total_reads_processed"])


def test_many_tasks_share_each_transaction_and_each_round_trip(transactional_db):
    submit(item("simulate", duration=0)).wait()  # everything is loaded after this
    batch = submit(*[item("simulate", duration=0) for _ in range(TASKS)], start=False, max_concurrent=500)
    asked, committed, written = requests(), commits() if is_postgresql() else 0, batch.status()["seq"]
    run("start", batch=batch.id)
    batch.wait(timeout=60)
    assert batch.counts()["completed"] == TASKS
    # Each transaction that changes a task writes one frame.
    assert batch.status()["seq"] - written <= TASKS / 20
    assert requests() - asked <= TASKS / 10
    if is_postgresql():
        assert commits() - committed <= TASKS / 7, "with those of who looks on: this test, heartbeats"
