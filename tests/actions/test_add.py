"""add and add_batch: every accepted form of a call, and its atomicity."""

import orjson
import pytest
from django.test import override_settings

from executor.domain.errors import BadRequest, BadTasks, NotAllowed, NotFound
from executor.domain.states import Priority
from executor.models import AuditEntry, Batch, BatchTask
from tests.factories import FakeWorker, tickets_out

OK = {"function": "ok"}


def test_add_uses_the_default_batch_of_the_caller(execute, execute_as):
    first = execute("add", function="ok", params={"value": "a"}).data
    second = execute("add", function="ok").data
    other = execute_as("user:7", "submit")("add", function="ok").data
    assert first["batch_id"] == second["batch_id"] != other["batch_id"]
    assert (first["number"], second["number"], other["number"]) == (1, 2, 1)
    task = BatchTask.objects.get(pk=first["task_id"])
    assert (task.function, task.params, task.priority, task.max_retries) == ("ok", {"value": "a"}, Priority.MEDIUM, 3)


def test_calls_without_a_batch_use_the_default_batch(execute):
    execute("add", function="ok", params={"value": "a"}, priority="high")
    execute("add", function="ok", params={"value": "b"})
    assert execute("start", max_concurrent=3).data["state"] == "running"
    batch = Batch.objects.get()
    worker = FakeWorker()
    worker.complete(*worker.claim(batch))
    status = execute("status").data
    assert (status["state"], status["stats"]["completed"]) == ("finished", 2)
    assert [row["result"] for row in execute("results").data["results"]] == ["attempt 1"] * 2


def test_add_can_start_the_batch(execute):
    data = execute("add", function="ok", start="true", max_concurrent="7").data
    batch = Batch.objects.get(pk=data["batch_id"])
    assert (batch.state, batch.max_concurrent) == ("running", 7)
    assert "wait" in data["next"]


def test_add_stores_every_field_of_a_task(execute):
    data = execute(
        "add",
        tool_name="ok",
        tool_args='{"value": "x"}',
        name="first",
        priority="CRITICAL",
        max_retries="1",
        retry_delay="0.5",
        timeout="9",
        run_at="2030-01-01T00:00:00Z",
        custom_id=17,
    ).data
    task = BatchTask.objects.get(pk=data["task_id"])
    assert (task.name, task.priority, task.max_retries, task.retry_delay) == ("first", Priority.CRITICAL, 1, 0.5)
    assert (task.timeout, task.custom_id, task.run_after.year, task.params) == (9.0, "17", 2030, {"value": "x"})


def test_add_batch_returns_ids_in_the_order_of_the_tasks(execute):
    data = execute("add_batch", tasks=[{**OK, "custom_id": f"row-{n}"} for n in range(1_200)], name="Rows").data
    assert data["count"] == len(data["task_ids"]) == 1_200
    rows = dict(BatchTask.objects.values_list("number", "custom_id"))
    assert rows == {number: f"row-{number - 1}" for number in range(1, 1_201)}
    assert str(BatchTask.objects.get(number=700).pk) == data["task_ids"][699]
    assert Batch.objects.get().name == "Rows"


@pytest.mark.parametrize("word", ["tasks", "tool_calls", "calls", "items"])
def test_add_batch_accepts_aliases_of_tasks(execute, word):
    data = execute("add_batch", **{word: [{"tool_name": "ok", "tool_args": {"value": "x"}}]}).data
    assert data["count"] == 1


def test_add_batch_rejects_two_lists_of_tasks(execute):
    with pytest.raises(BadRequest, match="give the tasks once"):
        execute("add_batch", tasks=[OK], calls=[OK])


@pytest.mark.parametrize(
    "text",
    [
        '[{"function": "ok"}, {"function": "ok"}]',
        '  \n[{"function": "ok"},\n{"function": "ok"}]\n',
        '{"function": "ok"}\n{"function": "ok"}\n',
        '{"function": "ok"}\r\n\r\n  {"function": "ok"}',
        '{"function": "ok", "name": "a\u2028b\x85c"}\n{"function": "ok"}',
    ],
    ids=range(5),
)
def test_add_batch_accepts_tasks_as_text(execute, text):
    assert execute("add_batch", tasks=text).data["count"] == 2


@pytest.mark.parametrize("tasks", ["[1", "no json", {"function": "ok"}, 5, None, b"[]", "{\n{", "[" * 100_000])
def test_add_batch_rejects_tasks_that_are_not_a_list(execute, tasks):
    with pytest.raises(BadRequest) as caught:
        execute("add_batch", tasks=tasks)
    assert caught.value.errors[0]["field"] == "tasks"


def test_invalid_json_lines_are_reported_with_other_errors(execute):
    text = '{"function": "ok"}\n{"function": }\n[1]\n{"function": "nix", "priority": "urgent", "params": {"x": 1}}'
    with pytest.raises(BadTasks) as caught:
        execute("add_batch", tasks=text, idempotency_key="k")
    errors = [(error["index"], error["field"], error.get("line")) for error in caught.value.errors]
    assert errors == [(1, "", 2), (2, "", None), (3, "priority", None), (3, "function", None)]
    assert not Batch.objects.exists()


def test_invalid_params_are_reported_with_other_invalid_fields(execute):
    wrong = {"function": "simulate", "priority": "urgent", "params": {"duration": -1}}
    with pytest.raises(BadTasks) as caught:
        execute("add_batch", tasks=[{"priority": "urgent"}], defaults={**wrong})
    assert [error["field"] for error in caught.value.errors] == ["priority", "params.duration"]


@pytest.mark.parametrize("tasks", [[], "", "[]", "\n\n"])
def test_add_batch_rejects_an_empty_list(execute, tasks):
    with pytest.raises(BadTasks, match="no tasks"):
        execute("add_batch", tasks=tasks)
    assert not Batch.objects.exists()


def test_one_invalid_task_prevents_the_whole_batch(execute):
    tasks = [OK] * 50 + [{"function": "ok", "custom_id": "bad", "priority": "urgent"}] + [OK] * 50
    with pytest.raises(BadTasks) as caught:
        execute("add_batch", tasks=tasks, start=True)
    [error] = caught.value.errors
    assert (error["index"], error["custom_id"], error["field"]) == (50, "bad", "priority")
    assert not Batch.objects.exists() and not BatchTask.objects.exists() and not AuditEntry.objects.exists()


def test_tasks_can_be_added_to_a_batch_by_id_or_name(execute):
    made = execute("add_batch", tasks=[OK], name="Numbers").data
    for batch in (made["batch_id"], "Numbers", made["batch_id"].replace("-", "").upper()):
        assert execute("add_batch", tasks=[OK], batch=batch).data["batch_id"] == made["batch_id"]
        assert execute("add", function="ok", batch=batch).data["batch_id"] == made["batch_id"]
    assert Batch.objects.get().stats.total_tasks == 7


def test_name_selects_the_newest_batch_of_that_name(execute):
    execute("add_batch", tasks=[OK], name="Twice")
    newest = execute("add_batch", tasks=[OK], name="Twice").data["batch_id"]
    assert execute("status", batch="Twice").data["batch_id"] == newest


def test_add_batch_rejects_an_unknown_batch(execute):
    with pytest.raises(NotFound, match="'Nowhere'"):
        execute("add_batch", tasks=[OK], batch="Nowhere")


def test_add_batch_rejects_duplicate_custom_ids(execute):
    execute("add_batch", tasks=[{**OK, "custom_id": "a"}, {**OK, "custom_id": "b"}], name="One")
    with pytest.raises(BadTasks) as caught:
        execute("add_batch", tasks=[{**OK, "custom_id": word} for word in ("c", "b", "d", "a")], batch="One")
    assert [(error["index"], error["custom_id"]) for error in caught.value.errors] == [(1, "b"), (3, "a")]
    assert "task 2" in caught.value.errors[0]["reason"]
    execute("add_batch", tasks=[{**OK, "custom_id": "a"}], name="Two")


def test_metadata_is_stored_with_the_batch(execute):
    notes = {"who": "ä", "n": [1, None, 2.5]}
    execute("add_batch", tasks=[OK], metadata=notes)
    assert execute("status", batch=str(Batch.objects.get().pk)).data["metadata"] == notes


@pytest.mark.parametrize(
    "metadata", [{"a": "\x00"}, {"a": float("nan")}, {"a": "x" * 20_000}, {"a": 2**70}, {"a": "\ud800"}]
)
def test_add_batch_rejects_metadata_that_cannot_be_stored(execute, metadata):
    with pytest.raises(BadRequest, match="metadata"):
        execute("add_batch", tasks=[OK], metadata=metadata)
    assert not Batch.objects.exists()


def test_add_batch_rejects_name_and_metadata_for_an_existing_batch(execute):
    """Arguments that only a new batch can use are rejected, not ignored."""
    made = execute("add_batch", tasks=[OK], name="Old").data
    with pytest.raises(BadRequest) as caught:
        execute("add_batch", tasks=[OK], batch=made["batch_id"], name="New", metadata={"a": 1})
    assert {error["field"] for error in caught.value.errors} == {"name", "metadata"}


def test_add_batch_applies_defaults_start_and_limit(execute):
    data = execute(
        "add_batch",
        tasks=[{"params": {"value": "a"}}, {"priority": "low"}],
        defaults={"function": "ok", "priority": "high"},
        start=True,
        max_concurrent=1,
    ).data
    batch = Batch.objects.get(pk=data["batch_id"])
    assert (batch.state, batch.max_concurrent) == ("running", 1)
    assert list(batch.tasks.order_by("number").values_list("priority", flat=True)) == [3, 1]
    assert len(tickets_out(batch)) == 1


@override_settings(BATCH_MAX_TASKS=10)
def test_add_batch_rejects_more_tasks_than_the_limit(execute):
    execute("add_batch", tasks=[OK] * 10)
    with pytest.raises(BadTasks, match="at most 10"):
        execute("add_batch", tasks=[OK] * 11)
    assert BatchTask.objects.count() == 10


def test_response_is_json(execute):
    assert orjson.loads(orjson.dumps(execute("add_batch", tasks=[OK]).as_dict()))["ok"] is True


def test_changes_are_recorded_in_the_audit_log(execute_as):
    execute = execute_as("user:7", "submit", "control", "read")
    execute("add_batch", tasks=[OK] * 3, name="Audited")
    execute("start", batch="Audited", max_concurrent=2)
    execute("status", batch="Audited")
    entries = AuditEntry.objects.order_by("pk")
    assert [(entry.action, entry.actor.split()[0], entry.batch_id) for entry in entries] == [
        ("add_batch", "user:7", Batch.objects.get().pk),
        ("start", "user:7", Batch.objects.get().pk),
    ]
    assert entries[0].detail == {"tasks": 3}


# --- batches of other callers ----------------------------------------------------------------------------------------


def test_only_the_owner_of_a_batch_can_add_memory_tasks(execute, execute_as):
    theirs = execute_as("user:7", "submit")("add", function="ok").data["batch_id"]
    task = {"function": "memory_load", "params": {"query": "PIN", "threshold": 0}}
    for call in (
        lambda execute: execute("add", batch=theirs, **task),
        lambda execute: execute("add_batch", batch=theirs, tasks=[OK, task]),
    ):
        with pytest.raises(NotAllowed, match="owner"):
            call(execute)
        call(execute_as("user:7", "submit"))
    assert execute("add", **task).data["number"] == 1, "in a batch of one's own it goes"
    assert BatchTask.objects.filter(batch_id=theirs).count() == 4


def test_submit_scope_cannot_start_batches_of_others(execute, execute_as):
    theirs = execute("add", function="ok").data["batch_id"]
    submitter = execute_as("user:7", "submit")
    submitter("add", batch=theirs, function="ok")
    for more in ({"start": True}, {"start": True, "max_concurrent": 50}):
        with pytest.raises(NotAllowed, match="control"):
            submitter("add", batch=theirs, function="ok", **more)
        with pytest.raises(NotAllowed, match="control"):
            submitter("add_batch", batch=theirs, tasks=[OK], **more)
    with pytest.raises(NotAllowed, match="control"):
        submitter("add_batch", batch=theirs, tasks=[OK], max_concurrent=50)
    batch = Batch.objects.get(pk=theirs)
    assert (batch.state, batch.max_concurrent, batch.stats.total_tasks) == ("open", 5, 2)
    execute_as("user:8", "submit", "control")("add", batch=theirs, function="ok", start=True)
    assert Batch.objects.get(pk=theirs).state == "running"


def test_submit_scope_cannot_restart_a_stopped_batch(execute, execute_as):
    submitter = execute_as("user:7", "submit")
    mine = submitter("add", function="ok", start=True).data["batch_id"]
    submitter("add", function="ok", start=True)
    execute("stop", batch=mine)
    with pytest.raises(NotAllowed, match="control"):
        submitter("add", function="ok", start=True)
    assert submitter("add", function="ok").data["number"] == 3
