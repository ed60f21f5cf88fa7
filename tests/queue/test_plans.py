"""Frequent statements use their indexes, also on large tables."""

from uuid import UUID

import pytest
from django.db import connection

from executor.db.dialect import not_in_clause, to_db_id
from executor.db.statements import is_postgresql
from executor.queue import repair, statements
from executor.queue.batch_queue import BatchQueue
from executor.reads.task_filter import TaskFilter
from tests.factories import FakeWorker, make_batch, new_task, start
from tests.support.batches import submit

ROWS = 20_000


@pytest.fixture
def large(db):
    """Return a running batch in a table of 20,000 tasks, most of them final."""
    old, batch = make_batch(), make_batch(max_concurrent=50)
    with BatchQueue([old.pk, batch.pk]) as open_queue:
        for number in range(0, ROWS // 2, 2_500):
            open_queue.add(old.pk, [new_task() for _ in range(2_500)])
            open_queue.add(batch.pk, [new_task(priority=1 + number % 4) for _ in range(2_500)])
    with BatchQueue([old.pk]) as open_queue:
        open_queue.cancel(old.pk, old.tasks.all())
    start(batch)
    FakeWorker().claim(batch, slots=20)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return batch


def plan_of(sql: str, params) -> str:
    """Return the plan of the database."""
    with connection.cursor() as cursor:
        cursor.execute(("EXPLAIN " if is_postgresql() else "EXPLAIN QUERY PLAN ") + sql, params)
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


def kept_plan_of(sql: str, params) -> str:
    """Return the generic plan, which PostgreSQL keeps for a prepared statement."""
    if not is_postgresql():
        return plan_of(sql, params)
    for number in range(1, sql.count("%s") + 1):
        sql = sql.replace("%s", f"${number}", 1)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (GENERIC_PLAN) {sql}")
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


def test_dispatch_reads_its_partial_indexes(large):
    batch_id = to_db_id(large.pk)
    without_ticket = kept_plan_of(statements.WITHOUT_TICKET, [batch_id, 5])
    assert "task_next" in without_ticket, without_ticket
    assert "Sort" not in without_ticket and "TEMP B-TREE" not in without_ticket, without_ticket
    tickets = kept_plan_of(statements.COUNT_TICKETS, [batch_id])
    assert "task_ticket" in tickets, tickets
    for ticket, index in (("NULL", "task_next"), ("NOT NULL", "task_ticket")):
        condition, ids = not_in_clause([large.tasks.first().pk])
        statement = statements.OF_HIGHER_PRIORITY.format(ticket=ticket, excluded=condition)
        higher = kept_plan_of(statement, [batch_id, 2, *ids, 5])
        assert index in higher, higher


def test_repair_does_not_scan_the_table(large):
    worker = FakeWorker()
    worker.claim(large, slots=10)
    worker.fall_silent()
    large.tasks.filter(pk__in=large.tasks.filter(status="queued", dispatched_at=None).values("pk")[:10]).update(
        run_after=large.created_at
    )
    seen = []

    def note(run, sql, params, many, context):
        if "executor_batchtask" in sql and not many and not sql.startswith("EXPLAIN"):
            seen.append((sql, params))
        return run(sql, params, many, context)

    with connection.execute_wrapper(note):
        repair.repair()
    assert len(seen) > 5
    for sql, params in seen:
        plan = plan_of(sql, params)
        assert "SCAN executor_batchtask\n" not in f"{plan}\n", f"{sql}\n{plan}"
        assert "Seq Scan on executor_batchtask" not in plan, f"{sql}\n{plan}"


@pytest.mark.parametrize(
    ("selection", "index"),
    [
        ({"status": ["failed"]}, "task_by_status"),
        ({"priority": ["critical"]}, "task_by_priority"),
        ({"function": "sleep"}, "task_by_function"),
    ],
)
def test_list_of_a_rare_status_reads_an_index(large, selection, index):
    page = TaskFilter(**selection).apply(large.tasks.all()).order_by("number")[:100]
    plan = page.explain()
    assert index in plan and "Sort" not in plan, plan


def test_batch_that_has_just_grown_is_read_by_its_index(shared_db):
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE executor_batchtask")  # as it is now: empty
    handle = submit(*[{"function": "simulate"}] * 20_000, start=False)
    batch_id = to_db_id(UUID(handle.id))
    page = "SELECT task_id, error FROM executor_batchtask WHERE batch_id = %s AND number > %s ORDER BY number LIMIT 100"
    for statement, params in ((page, [batch_id, 100]), (statements.WITHOUT_TICKET, [batch_id, 5])):
        plan = plan_of(statement, params)
        assert "Sort" not in plan and "TEMP B-TREE" not in plan, plan
