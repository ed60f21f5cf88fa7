"""start, stop, cancel, retry, update, clear and wait, through the executor of actions."""

from datetime import timedelta

import pytest

from executor.access import caller_of_shell
from executor.actions import BatchExecutor
from executor.domain.errors import BadRequest, Conflict, NotFound
from executor.domain.states import Priority
from executor.models import AuditEntry, Batch
from tests.factories import FakeWorker, add_tasks, make_batch, numbers, retry, start, task_in
from tests.queue.interleave import run_between


@pytest.fixture
def batch(db) -> Batch:
    """Return a batch of six tasks with two functions, two priorities, and custom ids."""
    made = make_batch("Six", max_concurrent=2)
    for number in range(1, 7):
        function = "ok" if number % 2 else "nap"
        add_tasks(made, priority=1 + number % 2, function=function, custom_id=f"row-{number}", name=f"n{number}")
    return made


def _by(batch, status) -> list[int]:
    return list(batch.tasks.filter(status=status).order_by("number").values_list("number", flat=True))


def _id(batch, number) -> str:
    return str(batch.tasks.get(number=number).pk)


def test_start_and_stop(execute, batch):
    data = execute("start", batch="Six", max_concurrent="3").data
    assert (data["state"], data["max_concurrent"]) == ("running", 3)
    [one, *_] = FakeWorker().claim(batch)
    assert one.number in range(1, 7)
    data = execute("stop", batch="Six", force="false").data
    assert (data["state"], data["running"]) == ("stopping", 3)
    assert execute("stop", batch="Six", force="yes").data["state"] == "stopping"
    assert Batch.objects.get(pk=batch.pk).stop_forced


def test_stop_suggests_the_next_action(execute, batch):
    execute("start", batch="Six", max_concurrent=6)
    assert execute("stop", batch="Six").data["next"].startswith("start ")
    execute("start", batch="Six")
    worker = FakeWorker()
    worker.complete(*worker.claim(batch))
    assert execute("stop", batch="Six").data["next"].startswith("results ")


def test_starting_an_empty_batch_is_a_conflict(execute):
    make_batch("Empty")
    with pytest.raises(Conflict) as caught:
        execute("start", batch="Empty")
    assert caught.value.status == 409 and caught.value.fix


@pytest.mark.parametrize(
    ("selection", "numbers"),
    [
        ({"custom_ids": "row-2,row-3"}, [2, 3]),
        ({"custom_ids": ["row-5"]}, [5]),
        ({"function": "nap"}, [2, 4, 6]),
        ({"priority_is": "medium"}, [1, 3, 5]),
        ({"priority_is": ["MEDIUM", "low"], "function": "nap"}, [2, 4, 6]),
        ({"q": "n4"}, [4]),
        ({"q": "#5"}, [5]),
        ({"filter_status": "queued"}, [1, 2, 3, 4, 5, 6]),
        ({"filter_status": ["failed", "running"]}, []),
        ({"custom_ids": "row-2,row-3", "function": "nap"}, [2]),
        ({}, [1, 2, 3, 4, 5, 6]),
    ],
    ids=str,
)
def test_cancel_applies_each_filter(execute, batch, selection, numbers):
    assert execute("cancel", batch="Six", **selection).data["cancelled"] == len(numbers)
    assert _by(batch, "cancelled") == numbers


def test_tasks_of_several_batches_can_be_selected_by_id(execute, batch):
    [other] = add_tasks(make_batch("Other"))
    ids = [_id(batch, 2), str(other.pk), _id(batch, 5)]
    assert execute("cancel", task_ids=ids).data == {"cancelled": 3, "cancelling": 0, "skipped": 0}
    assert _by(batch, "cancelled") == [2, 5]
    assert execute("retry", task_id=_id(batch, 2)).data["retried"] == 1


def test_cancel_rejects_the_call_if_one_id_is_unknown(execute, batch):
    missing = "00000000-0000-0000-0000-000000000001"
    with pytest.raises(NotFound) as caught:
        execute("cancel", task_ids=[_id(batch, 1), missing])
    assert [error["value"] for error in caught.value.errors] == [missing]
    assert _by(batch, "cancelled") == []


def test_cancel_skips_and_counts_mixed_batch(execute, batch):
    execute("start", batch="Six")
    worker = FakeWorker()
    held = worker.claim(batch)
    worker.complete(held[0])
    data = execute("cancel", batch="Six").data
    assert data == {"cancelled": 4, "cancelling": 1, "skipped": 1}


def test_retry_reports_how_many_tasks_were_skipped(execute, batch):
    execute("cancel", batch="Six", function="nap")
    response = execute("retry", batch="Six")
    assert response.data == {"retried": 3, "skipped": 3, "next": response.data["next"]}
    assert "3 tasks had not failed and were not cancelled." in response.message


def test_retry_suggests_start_for_a_batch_that_is_not_running(execute, batch):
    execute("cancel", batch="Six", function="nap")
    response = execute("retry", batch="Six", filter_status="cancelled")
    assert response.data["retried"] == 3 and "start" in response.data["next"]
    execute("start", batch="Six")
    execute("cancel", batch="Six", custom_ids="row-1")
    assert "next" not in execute("retry", batch="Six", custom_ids="row-1").data


def test_update_changes_priority_limit_and_name_at_once(execute, batch):
    execute("start", batch="Six", max_concurrent=1)
    data = execute("update", batch="Six", function="nap", priority="critical", max_concurrent="3", name="Renamed").data
    assert data["changed"] == 3
    assert numbers(FakeWorker().claim(batch)) == [2, 4, 6]
    found = execute("status", batch="Renamed").data
    assert (found["batch_id"], found["max_concurrent"]) == (str(batch.pk), 3)
    assert set(batch.tasks.filter(function="nap").values_list("priority", flat=True)) == {Priority.CRITICAL}


def test_renaming_a_batch_writes_a_frame(execute, batch):
    before = execute("status", batch="Six").data["seq"]
    execute("update", batch="Six", name="Renamed")
    assert execute("status", batch="Renamed").data["seq"] == before + 1


# --- clear --------------------------------------------------------------------------------------------------------


@pytest.fixture
def mixed_batch(db) -> Batch:
    """Return a batch with two completed tasks, one failed, one cancelled and one queued."""
    made = make_batch("Over", max_concurrent=10)
    for status in ("completed", "completed", "failed", "cancelled"):
        task_in(status, made)
    add_tasks(made)
    return made


def test_dry_run_reports_what_clear_deletes(execute, mixed_batch):
    dry = execute("clear", batch="Over", statuses="completed,failed", dry_run="true").data
    assert dry["would_delete"] == {"completed": 2, "failed": 1}
    assert dry["kept"] == {"completed": 0, "failed": 0, "cancelled": 1, "queued": 1}
    assert mixed_batch.tasks.count() == 5
    wet = execute("clear", batch="Over", statuses="completed,failed").data
    assert wet["deleted"] == 3
    assert mixed_batch.tasks.count() == 2


ALL = ["cancelled", "completed", "completed", "failed", "queued"]


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        ({}, ["cancelled", "failed", "queued"]),
        ({"statuses": ["failed"]}, ["cancelled", "completed", "completed", "queued"]),
        ({"statuses": "all"}, ["queued"]),
        ({"statuses": []}, ["queued"]),
        ({"statuses": "all", "older_than": 3600}, ALL),
        ({"statuses": "all", "older_than": "0"}, ["queued"]),
        ({"statuses": "all", "older_than": "2999-01-01"}, ["queued"]),
        (
            {"statuses": "all", "older_than": "2001-01-01T00:00:00+02:00"},
            ["cancelled", "completed", "completed", "failed", "queued"],
        ),
    ],
    ids=str,
)
def test_clear_applies_statuses_and_age(execute, mixed_batch, arguments, left):
    execute("clear", batch="Over", **arguments)
    assert sorted(mixed_batch.tasks.values_list("status", flat=True)) == left


def test_clear_by_age_uses_the_completion_time(execute, mixed_batch):
    old = mixed_batch.tasks.get(number=1)
    mixed_batch.tasks.filter(pk=old.pk).update(completed_at=old.completed_at - timedelta(hours=2))
    assert execute("clear", batch="Over", older_than="3600").data["deleted"] == 1
    assert not mixed_batch.tasks.filter(pk=old.pk).exists()


def test_clear_rejects_queued_and_running_tasks(execute, mixed_batch):
    with pytest.raises(BadRequest, match="queued or running cannot be cleared"):
        execute("clear", batch="Over", statuses="queued,completed,running")
    assert mixed_batch.tasks.count() == 5


def test_clear_is_audited_with_the_number_deleted(execute, mixed_batch):
    execute("clear", batch="Over")
    entry = AuditEntry.objects.get(action="clear")
    assert (entry.batch_id, entry.detail) == (mixed_batch.pk, {"deleted": 2, "statuses": ["completed"]})


@pytest.mark.django_db(transaction=True)
def test_task_retried_during_a_clear_is_not_deleted():
    task = task_in("failed")
    clear = BatchExecutor(caller_of_shell()).execute
    with run_between(lambda: retry(task), after="LIMIT 5000"):
        assert clear("clear", batch=str(task.batch_id), statuses="failed").data["deleted"] == 0
    task.refresh_from_db()
    assert task.status == "queued"


# --- wait ---------------------------------------------------------------------------------------------------------


def _wait(batch, **arguments) -> dict:
    return BatchExecutor(caller_of_shell()).execute("wait", batch=str(batch.pk), **arguments).data


@pytest.mark.django_db(transaction=True)
def test_wait_returns_at_once_for_a_finished_batch():
    data = _wait(task_in("completed").batch, timeout=30)
    assert (data["state"], data["timed_out"]) == ("finished", False)


@pytest.mark.django_db(transaction=True)
def test_wait_reports_its_timeout():
    batch = make_batch()
    add_tasks(batch)
    start(batch)
    assert _wait(batch, timeout="0.1")["timed_out"] is True


@pytest.mark.django_db(transaction=True)
def test_wait_for_an_earlier_change_returns_at_once():
    batch = make_batch()
    add_tasks(batch)
    start(batch)
    data = _wait(batch, until="change", after=1, timeout=30)
    assert (data["timed_out"], data["seq"]) == (False, 2)
