"""Statements of the hot path: errors, transactions, and rows inserted in bulk."""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.transaction import TransactionManagementError

from executor.db.dialect import FEW_ROWS, insert_rows, to_db_time
from executor.db.statements import execute, query
from executor.models import Batch
from tests.factories import make_batch

pytestmark = pytest.mark.django_db(transaction=True)

_OWNERS = "SELECT owner FROM executor_batch ORDER BY owner"
_RENAME = "UPDATE executor_batch SET owner = %s"


@pytest.mark.parametrize(
    "moment",
    [
        None,
        datetime(2026, 3, 1, 12, 30, tzinfo=UTC),
        datetime(2026, 3, 1, 12, 30, 0, 123, tzinfo=UTC),
        datetime(2026, 3, 1, 0, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    ],
)
def test_time_parameter_has_the_format_of_django(moment):
    assert to_db_time(moment) == connection.ops.adapt_datetimefield_value(moment)


@pytest.mark.parametrize("run", [query, execute])
@pytest.mark.parametrize("around", [transaction.atomic, nullcontext], ids=["transaction", "alone"])
def test_errors_are_those_of_django_and_the_connection_stays_usable(run, around):
    assert query("SELECT 1") == [(1,)]
    same = connection.connection
    for _ in range(10):  # more often than a statement needs to be prepared
        with pytest.raises(DatabaseError, match="nowhere"), around():
            run("SELECT nonsense FROM nowhere")
        with around():
            assert query("SELECT 1") == [(1,)]
    assert connection.connection is same


def test_broken_transaction_refuses_further_statements():
    Batch.objects.filter(pk=make_batch().pk).update(owner="before")
    with pytest.raises(TransactionManagementError), transaction.atomic():
        with pytest.raises(IntegrityError), transaction.atomic(savepoint=False):
            raise IntegrityError
        execute(_RENAME, ["after"])
    assert query(_OWNERS) == [("before",)]


async def test_statements_use_the_connection_of_the_async_context(monkeypatch):
    """Django has one for each context there."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    try:
        with transaction.atomic():
            execute("DELETE FROM executor_idempotentcall")
            assert connection.in_atomic_block
            execute(
                "INSERT INTO executor_idempotentcall (owner, key, fingerprint, answer, created_at)"
                " VALUES ('o', 'k', 'f', '{}', CURRENT_TIMESTAMP)"
            )
            transaction.set_rollback(True)
        assert not query("SELECT 1 FROM executor_idempotentcall")
    finally:
        connection.close()


@pytest.mark.parametrize("count", [0, 1, FEW_ROWS, FEW_ROWS + 1, 1001])
def test_insert_rows_stores_every_row(count):
    columns = ("owner", "key", "fingerprint", "answer", "created_at")
    moment = to_db_time(datetime(2026, 3, 1, tzinfo=UTC))
    insert_rows(
        "executor_idempotentcall", columns, (("o", f"{number:05}", "f", "{}", moment) for number in range(count))
    )
    keys = query("SELECT key FROM executor_idempotentcall ORDER BY key")
    assert keys == [(f"{number:05}",) for number in range(count)]
