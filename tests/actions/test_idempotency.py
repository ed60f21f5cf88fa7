"""Idempotency keys: a repeated call with the same key is executed once, also under concurrency."""

import pytest

from executor.access import caller_of_shell
from executor.actions import BatchExecutor
from executor.domain.errors import BadRequest, BadTasks, Conflict
from executor.models import Batch, BatchTask, IdempotentCall
from tests.queue.interleave import run_between

TASKS = [{"function": "ok", "params": {"value": "a"}}, {"function": "ok"}]


def test_repeated_call_returns_the_stored_response(execute):
    first = execute("add_batch", tasks=TASKS, start=True, idempotency_key="k1")
    again = execute("add_batch", tasks=TASKS, start=True, idempotency_key="k1")
    assert again.as_dict() == first.as_dict()
    assert (Batch.objects.count(), BatchTask.objects.count()) == (1, 2)


def test_same_key_with_other_arguments_is_a_conflict(execute):
    execute("add_batch", tasks=TASKS, idempotency_key="k1")
    with pytest.raises(Conflict, match="'k1'"):
        execute("add_batch", tasks=TASKS[:1], idempotency_key="k1")
    with pytest.raises(Conflict):
        execute("add", function="ok", idempotency_key="k1")
    assert Batch.objects.count() == 1


def test_order_of_arguments_does_not_matter(execute):
    first = execute("add", function="ok", params={"value": "a"}, priority="high", idempotency_key="k")
    again = execute("add", priority="high", params={"value": "a"}, function="ok", idempotency_key="k")
    assert again.data == first.data


def test_other_keys_and_callers_are_separate_calls(execute, execute_as):
    ids = {
        execute("add", function="ok", idempotency_key="k1").data["task_id"],
        execute("add", function="ok", idempotency_key="k2").data["task_id"],
        execute_as("user:7", "submit")("add", function="ok", idempotency_key="k1").data["task_id"],
        execute("add", function="ok").data["task_id"],
        execute("add", function="ok").data["task_id"],
    }
    assert len(ids) == 5


def test_repeated_start_is_not_executed_again(execute):
    execute("add", function="ok")
    first = execute("start", max_concurrent=3, idempotency_key="go")
    execute("stop")
    assert execute("start", max_concurrent=3, idempotency_key="go").as_dict() == first.as_dict()
    assert execute("status").data["state"] == "stopped", "the repeated start was executed"


def test_failed_call_does_not_consume_its_key(execute):
    with pytest.raises(BadTasks):
        execute("add_batch", tasks=[{"function": "no_such_function"}], idempotency_key="k")
    assert not IdempotentCall.objects.exists()
    assert execute("add_batch", tasks=TASKS, idempotency_key="k").data["count"] == 2


def test_streamed_tasks_are_part_of_the_request_hash(execute):
    """The items of a generator are hashed, not the identity of the object."""
    with pytest.raises(Conflict):
        execute("add_batch", tasks=iter(TASKS), idempotency_key="k")
        execute("add_batch", tasks=iter(TASKS[:1]), idempotency_key="k")
    assert execute("add_batch", tasks=iter(TASKS), idempotency_key="k").data["count"] == 2
    assert Batch.objects.count() == 1


@pytest.mark.parametrize(
    "value", [10**400, "\ud800", {"\ud800": 1}, float("nan"), b"x"], ids=lambda value: ascii(value)[:12]
)
def test_hostile_values_are_rejected_with_a_key(execute, value):
    with pytest.raises(BadRequest):
        execute("add_batch", tasks=[{"function": "ok", "params": {"value": value}}], idempotency_key="k")
    assert not IdempotentCall.objects.exists()


@pytest.mark.parametrize("key", ["k" * 201, "a\x00", "\ud800"], ids=lambda key: ascii(key)[:9])
def test_invalid_key_is_rejected(execute, key):
    with pytest.raises(BadRequest) as caught:
        execute("add", function="ok", idempotency_key=key)
    assert caught.value.errors[0]["field"] == "idempotency_key"


# --- concurrency ---------------------------------------------------------------------------------------------------


def _call(action, **arguments):
    return BatchExecutor(caller_of_shell()).execute(action, **arguments)


@pytest.mark.django_db(transaction=True)
def test_concurrent_calls_with_one_key_create_one_batch():
    def add():
        return _call("add_batch", tasks=TASKS, idempotency_key="k")

    with run_between(add, before='INSERT INTO "executor_idempotentcall"') as concurrent:
        mine = add()
    assert mine.as_dict() == concurrent.join().as_dict()
    assert (Batch.objects.count(), BatchTask.objects.count(), IdempotentCall.objects.count()) == (1, 2, 1)


@pytest.mark.django_db(transaction=True)
def test_concurrent_first_tasks_share_one_default_batch():
    def add():
        return _call("add", function="ok")

    with run_between(add, before='INSERT INTO "executor_batch" ') as concurrent:
        mine = add()
    assert mine.data["batch_id"] == concurrent.join().data["batch_id"]
    assert {mine.data["number"], concurrent.join().data["number"]} == {1, 2}


@pytest.mark.django_db(transaction=True)
def test_concurrent_adds_of_one_custom_id_store_one_task():
    batch = _call("add_batch", tasks=TASKS).data["batch_id"]

    def add():
        return _call("add", function="ok", custom_id="mine", batch=batch)

    with run_between(add, before="FOR NO KEY UPDATE"), pytest.raises(BadTasks):
        add()
    assert BatchTask.objects.filter(custom_id="mine").count() == 1
