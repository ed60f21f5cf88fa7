"""Statements that go to the driver directly are as good as those that go through Django's cursors."""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.transaction import TransactionManagementError

from executor.db.dialect import FEW_ROWS, insert, time_param
from executor.db.statements import execute, query, query_in_turn
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
def test_a_moment_is_what_django_makes_of_it(moment):
    assert time_param(moment) == connection.ops.adapt_datetimefield_value(moment)


ONE = ("SELECT 1", ())


@pytest.mark.parametrize(
    "ask",
    [
        query,
        execute,
        lambda text: query_in_turn(ONE, (text, ()), ONE),
        lambda text: query_in_turn((text, ()), *[ONE] * 200),  # the error is there while others are being sent
    ],
)
@pytest.mark.parametrize("around", [transaction.atomic, nullcontext], ids=["transaction", "alone"])
def test_errors_are_djangos_and_the_connection_goes_on(ask, around):
    assert query("SELECT 1") == [(1,)]
    same = connection.connection
    for _ in range(10):
        with pytest.raises(DatabaseError, match="nowhere"), around():
            ask("SELECT nonsense FROM nowhere")
        with around():
            assert query_in_turn(ONE, ONE) == [[(1,)], [(1,)]]
    assert connection.connection is same


def test_a_broken_transaction_takes_nothing_more():
    Batch.objects.filter(pk=make_batch().pk).update(owner="before")
    with pytest.raises(TransactionManagementError), transaction.atomic():
        with pytest.raises(IntegrityError), transaction.atomic(savepoint=False):
            raise IntegrityError
        execute(_RENAME, ["after"])
    assert query(_OWNERS) == [("before",)]


def test_what_is_asked_in_turn_sees_what_came_before_and_is_undone_with_its_transaction():
    Batch.objects.filter(pk=make_batch().pk).update(owner="before")
    renamed = (f"{_RENAME} RETURNING owner", ["after"])
    for error in (ValueError, DatabaseError):
        with pytest.raises(error), transaction.atomic():
            assert query_in_turn(renamed, (_OWNERS, ())) == [[("after",)], [("after",)]]
            raise error
        assert query(_OWNERS) == [("before",)]
    with transaction.atomic():
        query_in_turn((_OWNERS, ()), renamed)
        assert query_in_turn((_OWNERS, ())) == [[("after",)]]  # one more in the same transaction
    with pytest.raises(DatabaseError), transaction.atomic():
        query_in_turn((f"{_RENAME} RETURNING owner", ["lost"]), ("SELECT nonsense FROM nowhere", ()))
    with transaction.atomic():
        assert query(_OWNERS) == [("after",)]
    assert connection.get_autocommit()


def test_outside_of_a_transaction_what_is_asked_in_turn_is_kept():
    Batch.objects.filter(pk=make_batch().pk).update(owner="before")
    query_in_turn((f"{_RENAME} RETURNING owner", ["after"]), (_OWNERS, ()))
    connection.close()
    assert query(_OWNERS) == [("after",)]


async def test_where_an_event_loop_runs_it_is_djangos_connection_too(monkeypatch):
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


def test_who_listens_hears_every_statement():
    heard = []

    def listen(run, text, *rest):
        heard.append(text)
        return run(text, *rest)

    with connection.execute_wrapper(listen):
        execute(_RENAME, ["x"])
        query_in_turn((_OWNERS, ()), ("SELECT 1", ()))
    assert heard == [_RENAME, _OWNERS, "SELECT 1"]


@pytest.mark.parametrize("count", [0, 1, FEW_ROWS, FEW_ROWS + 1, 1001])
def test_as_many_rows_are_stored_as_were_given(count):
    columns = ("owner", "key", "fingerprint", "answer", "created_at")
    moment = time_param(datetime(2026, 3, 1, tzinfo=UTC))
    insert("executor_idempotentcall", columns, (("o", f"{number:05}", "f", "{}", moment) for number in range(count)))
    keys = query("SELECT key FROM executor_idempotentcall ORDER BY key")
    assert keys == [(f"{number:05}",) for number in range(count)]
