"""A call that is answered with an error has changed nothing, and every error is one of ours, in words."""

import orjson
import pytest
from django.apps import apps

from executor.actions import ACTIONS
from executor.domain.errors import BadRequest, ExecutorError, NotAllowed
from executor.models import Batch, BatchTask
from tests.factories import FakeWorker, add_tasks, make_batch, start, stop

NAN = float("nan")
OK = {"function": "ok"}
NOBODY = "00000000-0000-0000-0000-000000000000"
HOSTILE_TEXT = {
    "NUL": "a\x00b",
    "half a pair": "\ud800",
    "5,000 digits": "9" * 5_000,
    "superscript": "²",
    "a formula": "%s';--",
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
    """Every row of every table."""
    return {
        model._meta.label: list(model.objects.order_by("pk").values())
        for model in apps.get_models()
        if model._meta.managed
    }


BAD_CALLS = {
    "no such action": ("explode", {}),
    "an action that is nearly one": ("ad", {}),
    "an unknown argument": ("start", {"batch": "World", "max_concurent": 5}),
    "a batch that is not there": ("start", {"batch": "Nowhere"}),
    "a batch id that is not there": ("stop", {"batch": NOBODY}),
    "no batch and no default one": ("start", {}),
    "results of no default batch": ("results", {}),
    "a limit of nothing": ("start", {"batch": "World", "max_concurrent": 0}),
    "a limit that is no number": ("start", {"batch": "World", "max_concurrent": "many"}),
    "a limit that is too high": ("update", {"batch": "World", "max_concurrent": 10**9}),
    "a limit of NaN": ("update", {"batch": "World", "max_concurrent": NAN}),
    "an unknown function": ("add", {"function": "nobody", "batch": "World"}),
    "a bad priority": ("add", {"function": "ok", "priority": "urgent", "batch": "World"}),
    "a bad task in a new default batch": ("add", {"function": "ok", "max_retries": -1}),
    "a bad batch among good tasks": ("add_batch", {"tasks": [OK, OK, {"function": "nobody"}], "name": "New"}),
    "good tasks for a batch that is not there": ("add_batch", {"tasks": [OK], "batch": "Nowhere"}),
    "bad metadata": ("add_batch", {"tasks": [OK], "metadata": {"a": "\x00"}}),
    "a key with a bad call": ("add_batch", {"tasks": [{}], "idempotency_key": "k"}),
    "a name that is too long": ("update", {"batch": "World", "name": "x" * 201}),
    "nothing to update": ("update", {"batch": "World"}),
    "a limit for single tasks": ("update", {"task_ids": [NOBODY], "max_concurrent": 3}),
    "a task that is not there": ("cancel", {"task_ids": [NOBODY]}),
    "an id that is none": ("cancel", {"task_ids": ["7"]}),
    "a custom id that is not there": ("retry", {"batch": "World", "custom_ids": ["x"]}),
    "nothing selected": ("cancel", {}),
    "an unknown status": ("retry", {"batch": "World", "filter_status": "done"}),
    "an unknown priority to select": ("cancel", {"batch": "World", "priority_is": ["urgent"]}),
    "clearing what runs": ("clear", {"batch": "World", "statuses": ["completed", "running"]}),
    "clearing by a time that is none": ("clear", {"batch": "World", "older_than": "last week"}),
    "clearing by NaN": ("clear", {"batch": "World", "older_than": "nan"}),
    "clearing by infinity": ("clear", {"batch": "World", "older_than": "inf"}),
    "clearing by an age before all time": ("clear", {"batch": "World", "older_than": 1e300}),
    "clearing by the first hour of all": ("clear", {"batch": "World", "older_than": "0001-01-01T00:00:00+14:00"}),
    "an unknown field": ("results", {"batch": "World", "fields": ["result", "colour"]}),
    "a page of nothing": ("results", {"batch": "World", "limit": 0}),
    "a cursor that is none": ("results", {"batch": "World", "cursor": "x"}),
    "a negative cursor": ("results", {"batch": "World", "cursor": -1}),
    "an unknown format": ("export", {"batch": "World", "format": "xml"}),
    "a wait that is too long": ("wait", {"batch": "World", "timeout": 61}),
    "a wait of NaN": ("wait", {"batch": "World", "timeout": "nan"}),
    "a wait for something else": ("wait", {"batch": "World", "until": "doomsday"}),
}


@pytest.mark.parametrize(("action", "arguments"), BAD_CALLS.values(), ids=BAD_CALLS)
def test_a_call_answered_with_an_error_writes_nothing(execute, world, action, arguments):
    before = everything()
    with pytest.raises(ExecutorError) as caught:
        execute(action, **arguments)
    assert everything() == before
    told = caught.value.problem()
    assert orjson.loads(orjson.dumps(told))["detail"]
    assert 400 <= told["status"] < 500


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
def test_hostile_text_is_an_error_like_any_other(execute, world, action, argument, text):
    before = everything()
    rest = TEXT_ARGUMENTS[action, argument]
    try:
        execute(action, **{argument: text}, **rest)
    except ExecutorError as error:
        assert orjson.dumps(error.problem())
    else:
        # A very large number is one: nothing is that old, and no page that late.
        assert argument in ("cursor", "older_than") and text.isascii(), "this was accepted"
    assert everything() == before


@pytest.mark.parametrize("text", HOSTILE_TEXT.values(), ids=HOSTILE_TEXT)
@pytest.mark.parametrize("argument", ["q", "function"])
def test_hostile_text_to_look_for_finds_nothing(execute, world, argument, text):
    try:
        data = execute("retry", batch="World", **{argument: text}).data
    except ExecutorError as error:
        assert orjson.dumps(error.problem())
    else:
        assert data == {"retried": 0, "skipped": 0}


def test_unknown_arguments_are_told_with_the_known_ones(execute, world):
    with pytest.raises(BadRequest) as caught:
        execute("start", batch="World", max_concurent=5, colour="red")
    assert {error["field"]: error["reason"] for error in caught.value.errors} == {
        "max_concurent": "unknown argument; did you mean 'max_concurrent'?",
        "colour": "unknown argument",
    }
    assert "max_concurrent" in caught.value.fix and "batch" in caught.value.fix


def test_an_unknown_action_is_told_with_all_that_there_are(execute):
    with pytest.raises(BadRequest) as caught:
        execute("statsu")
    assert "'status'" in caught.value.fix
    for name in ACTIONS:
        assert name in caught.value.fix


def test_there_are_the_nine_actions_and_three_more():
    nine = {"add", "add_batch", "start", "stop", "status", "results", "export", "clear", "cancel"}
    assert ACTIONS.keys() == nine | {"retry", "wait", "update"}


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_an_action_says_what_it_does_and_its_example_is_right(name):
    entry = ACTIONS[name]
    assert entry.summary.endswith(".")
    entry.parameters.model_validate(entry.example)
    assert entry.parameters.model_json_schema()["properties"]
    assert entry.scope in ("read", "submit", "control")


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_an_action_asks_for_its_scope_before_anything_else(execute_as, world, name):
    others = {"read", "submit", "control", "code"} - {ACTIONS[name].scope}
    before = everything()
    with pytest.raises(NotAllowed, match=ACTIONS[name].scope):
        execute_as("user:9", *others)(name, nonsense=1)
    assert everything() == before


def test_what_reads_writes_nothing(execute, world):
    before = everything()
    execute("status", batch="World", detailed=True)
    execute("results", batch="World")
    b"".join(execute("export", batch="World", format="csv").stream)
    assert everything() == before
    assert Batch.objects.count() == 1 and BatchTask.objects.count() == 4
