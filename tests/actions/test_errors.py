"""Errors of actions: rejected calls write nothing, and every error has a detail."""

import orjson
import pytest
from django.apps import apps

from executor.actions import ACTIONS
from executor.domain.errors import BadRequest, ExecutorError, NotAllowed
from executor.models import Batch, BatchTask
from tests.factories import FakeWorker, add_tasks, make_batch, start, stop

NAN = float("nan")
OK = {"function": "ok"}
UNKNOWN_ID = "00000000-0000-0000-0000-000000000000"
HOSTILE_TEXT = {
    "NUL": "a\x00b",
    "lone surrogate": "\ud800",
    "5,000 digits": "9" * 5_000,
    "superscript": "²",
    "SQL and format characters": "%s';--",
}


@pytest.fixture
def world(db):
    """Return a batch named World with tasks in every status."""
    batch, worker = make_batch("World", max_concurrent=10), FakeWorker()
    add_tasks(batch, 4, custom_id=None, max_retries=0)
    start(batch)
    one, two, _ = worker.claim(batch, slots=3)
    worker.complete(one)
    worker.fail(two)
    stop(batch)
    return batch


def everything() -> dict:
    """Return every row of every table."""
    return {
        model._meta.label: list(model.objects.order_by("pk").values())
        for model in apps.get_models()
        if model._meta.managed
    }


BAD_CALLS = {
    "unknown action": ("explode", {}),
    "misspelled action": ("ad", {}),
    "unknown argument": ("start", {"batch": "World", "max_concurent": 5}),
    "unknown batch": ("start", {"batch": "Nowhere"}),
    "unknown batch id": ("stop", {"batch": UNKNOWN_ID}),
    "no default batch": ("start", {}),
    "results of no default batch": ("results", {}),
    "limit of zero": ("start", {"batch": "World", "max_concurrent": 0}),
    "limit that is not a number": ("start", {"batch": "World", "max_concurrent": "many"}),
    "limit above the maximum": ("update", {"batch": "World", "max_concurrent": 10**9}),
    "limit of NaN": ("update", {"batch": "World", "max_concurrent": NAN}),
    "unknown function": ("add", {"function": "no_such_function", "batch": "World"}),
    "invalid priority": ("add", {"function": "ok", "priority": "urgent", "batch": "World"}),
    "invalid task in a new default batch": ("add", {"function": "ok", "max_retries": -1}),
    "one invalid task": ("add_batch", {"tasks": [OK, OK, {"function": "no_such_function"}], "name": "New"}),
    "valid tasks for an unknown batch": ("add_batch", {"tasks": [OK], "batch": "Nowhere"}),
    "invalid metadata": ("add_batch", {"tasks": [OK], "metadata": {"a": "\x00"}}),
    "idempotency key with an invalid call": ("add_batch", {"tasks": [{}], "idempotency_key": "k"}),
    "name that is too long": ("update", {"batch": "World", "name": "x" * 201}),
    "nothing to update": ("update", {"batch": "World"}),
    "limit for single tasks": ("update", {"task_ids": [UNKNOWN_ID], "max_concurrent": 3}),
    "unknown task": ("cancel", {"task_ids": [UNKNOWN_ID]}),
    "malformed task id": ("cancel", {"task_ids": ["7"]}),
    "unknown custom id": ("retry", {"batch": "World", "custom_ids": ["x"]}),
    "nothing selected": ("cancel", {}),
    "unknown status": ("retry", {"batch": "World", "filter_status": "done"}),
    "unknown priority in a filter": ("cancel", {"batch": "World", "priority_is": ["urgent"]}),
    "clearing running tasks": ("clear", {"batch": "World", "statuses": ["completed", "running"]}),
    "clearing by an invalid time": ("clear", {"batch": "World", "older_than": "last week"}),
    "clearing by NaN": ("clear", {"batch": "World", "older_than": "nan"}),
    "clearing by infinity": ("clear", {"batch": "World", "older_than": "inf"}),
    "clearing by an age out of range": ("clear", {"batch": "World", "older_than": 1e300}),
    "clearing by a time out of range": ("clear", {"batch": "World", "older_than": "0001-01-01T00:00:00+14:00"}),
    "unknown field": ("results", {"batch": "World", "fields": ["result", "colour"]}),
    "page size of zero": ("results", {"batch": "World", "limit": 0}),
    "invalid cursor": ("results", {"batch": "World", "cursor": "x"}),
    "negative cursor": ("results", {"batch": "World", "cursor": -1}),
    "unknown format": ("export", {"batch": "World", "format": "xml"}),
    "timeout above the maximum": ("wait", {"batch": "World", "timeout": 61}),
    "timeout of NaN": ("wait", {"batch": "World", "timeout": "nan"}),
    "unknown condition to wait for": ("wait", {"batch": "World", "until": "doomsday"}),
}


@pytest.mark.parametrize(("action", "arguments"), BAD_CALLS.values(), ids=BAD_CALLS)
def test_rejected_call_writes_nothing(execute, world, action, arguments):
    before = everything()
    with pytest.raises(ExecutorError) as caught:
        execute(action, **arguments)
    assert everything() == before
    problem = caught.value.problem()
    assert orjson.loads(orjson.dumps(problem))["detail"]
    assert 400 <= problem["status"] < 500


TEXT_ARGUMENTS = {
    ("start", "batch"): {},
    ("status", "batch"): {},
    ("add", "batch"): {"function": "ok"},
    ("add", "function"): {},
    ("results", "custom_ids"): {"batch": "World"},
    ("results", "task_ids"): {"batch": "World"},
    ("results", "cursor"): {"batch": "World"},
    ("results", "fields"): {"batch": "World"},
    ("results", "filter_status"): {"batch": "World"},
    ("export", "format"): {"batch": "World"},
    ("cancel", "custom_ids"): {"batch": "World"},
    ("cancel", "task_ids"): {},
    ("cancel", "priority_is"): {"batch": "World"},
    ("clear", "statuses"): {"batch": "World"},
    ("clear", "older_than"): {"batch": "World"},
    ("update", "priority"): {"batch": "World"},
    ("add", "run_at"): {"function": "ok"},
    ("add", "max_retries"): {"function": "ok"},
}


@pytest.mark.parametrize("text", HOSTILE_TEXT.values(), ids=HOSTILE_TEXT)
@pytest.mark.parametrize(("action", "argument"), TEXT_ARGUMENTS, ids=" ".join)
def test_hostile_text_is_rejected_as_a_bad_request(execute, world, action, argument, text):
    before = everything()
    rest = TEXT_ARGUMENTS[action, argument]
    try:
        execute(action, **{argument: text}, **rest)
    except ExecutorError as error:
        assert orjson.dumps(error.problem())
    else:
        # Very large numbers are valid here: no task is that old, and no page that far.
        assert argument in ("cursor", "older_than") and text.isascii(), "hostile text was accepted"
    assert everything() == before


@pytest.mark.parametrize("text", HOSTILE_TEXT.values(), ids=HOSTILE_TEXT)
@pytest.mark.parametrize("argument", ["q", "function"])
def test_searching_for_hostile_text_finds_nothing(execute, world, argument, text):
    try:
        data = execute("retry", batch="World", **{argument: text}).data
    except ExecutorError as error:
        assert orjson.dumps(error.problem())
    else:
        assert data == {"retried": 0, "skipped": 0}


def test_error_for_unknown_arguments_lists_the_known_ones(execute, world):
    with pytest.raises(BadRequest) as caught:
        execute("start", batch="World", max_concurent=5, colour="red")
    assert {error["field"]: error["reason"] for error in caught.value.errors} == {
        "max_concurent": "unknown argument; did you mean 'max_concurrent'?",
        "colour": "unknown argument",
    }
    assert "max_concurrent" in caught.value.fix and "batch" in caught.value.fix


def test_error_for_an_unknown_action_lists_all_actions(execute):
    with pytest.raises(BadRequest) as caught:
        execute("statsu")
    assert "'status'" in caught.value.fix
    for name in ACTIONS:
        assert name in caught.value.fix


def test_all_twelve_actions_are_registered():
    nine = {"add", "add_batch", "start", "stop", "status", "results", "export", "clear", "cancel"}
    assert ACTIONS.keys() == nine | {"retry", "wait", "update"}


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_each_action_has_a_summary_a_valid_example_and_a_scope(name):
    entry = ACTIONS[name]
    assert entry.summary.endswith(".")
    entry.parameters.model_validate(entry.example)
    assert entry.parameters.model_json_schema()["properties"]
    assert entry.scope in ("read", "submit", "control")


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_each_action_checks_its_scope_first(execute_as, world, name):
    others = {"read", "submit", "control", "code"} - {ACTIONS[name].scope}
    before = everything()
    with pytest.raises(NotAllowed, match=ACTIONS[name].scope):
        execute_as("user:9", *others)(name, nonsense=1)
    assert everything() == before


def test_reading_actions_write_nothing(execute, world):
    before = everything()
    execute("status", batch="World", detailed=True)
    execute("results", batch="World")
    b"".join(execute("export", batch="World", format="csv").stream)
    assert everything() == before
    assert Batch.objects.count() == 1 and BatchTask.objects.count() == 4
