"""Validation of new tasks: hostile values, complete lists of errors, defaults and aliases."""

from datetime import UTC, datetime
from types import SimpleNamespace

import orjson
import pytest
from django.test import override_settings

from executor.access import Caller, caller_of_shell
from executor.actions.task_validation import validate_items
from executor.domain.errors import BadTasks, NotAllowed
from executor.domain.new_task import NEW_TASK_COLUMNS
from executor.domain.states import Priority
from executor.functions import registry, task_function

NAN, INFINITY = float("nan"), float("inf")


@pytest.fixture(autouse=True)
def _functions():
    """Register a function that takes anything, one that needs a scope, and one that cannot run here."""
    with registry.temporary_registrations():

        @task_function("free")
        def free(value=None):
            """Take anything."""

        @task_function("secret", scope="code")
        def secret():
            """Needs a scope."""

        @task_function("off", unavailable=lambda: "it is switched off")
        def off():
            """Cannot run here."""

        yield


def _check(*items, **more):
    tasks = validate_items(items, caller_of_shell(), **more)
    return [SimpleNamespace(**dict(zip(NEW_TASK_COLUMNS, task, strict=True))) for task in tasks]


def _refused(*items, **more) -> list[dict]:
    with pytest.raises(BadTasks) as caught:
        _check(*items, **more)
    problem = caught.value.problem()
    assert orjson.dumps(problem), "the problem document must be JSON"
    assert problem["status"] == 400 and problem["detail"]
    return problem["errors"]


def _nested(levels: int):
    value = "the bottom"
    for _ in range(levels):
        value = [value]
    return value


# --- hostile values ----------------------------------------------------------------------------------------------

HOSTILE = {
    "NUL in a value": {"params": {"value": "a\x00b"}},
    "NUL in a key": {"params": {"value": {"a\x00": 1}}},
    "NUL deep inside": {"params": {"value": [{"a": ["\x00"]}]}},
    "NUL in JSON text": {"params": '{"value": "\\u0000"}'},
    "NUL in the name": {"name": "a\x00"},
    "NUL in the custom id": {"custom_id": "a\x00"},
    "NUL in the function": {"function": "free\x00"},
    "lone surrogate in a value": {"params": {"value": "\ud800"}},
    "lone surrogate in a key": {"params": {"value": {"\ud800": 1}}},
    "lone surrogate in JSON text": {"params": '{"value": "\\ud800"}'},
    "lone surrogate in the name": {"name": "\ud800"},
    "lone surrogate in the custom id": {"custom_id": "\ud800"},
    "NaN": {"params": {"value": NAN}},
    "NaN deep inside": {"params": {"value": {"a": [1, NAN]}}},
    "infinity": {"params": {"value": [INFINITY]}},
    "minus infinity": {"params": {"value": -INFINITY}},
    "NaN in JSON text": {"params": '{"value": NaN}'},
    "NaN as a delay": {"retry_delay": NAN},
    "NaN as text as a delay": {"retry_delay": "nan"},
    "NaN as a timeout": {"timeout": "NaN"},
    "infinity as a timeout": {"timeout": "inf"},
    "65 levels": {"params": {"value": _nested(64)}},
    "5,000 levels": {"params": {"value": _nested(5_000)}},
    "100,000 levels of JSON text": {"params": '{"value":' + "[" * 100_000},
    "an integer of 401 digits": {"params": {"value": 10**400}},
    "an integer of 65 bits": {"params": {"value": 2**64}},
    "an integer of 401 digits as retries": {"max_retries": 10**400},
    "5,000 digits as retries": {"max_retries": "9" * 5_000},
    "an integer of 5,001 digits as custom id": {"custom_id": 10**5_000},
    "a key of 257 characters": {"params": {"value": {"k" * 257: 1}}},
    "a custom id of 201 characters": {"custom_id": "x" * 201},
    "an empty custom id": {"custom_id": ""},
    "a name of 201 characters": {"name": "x" * 201},
    "a function name of 201 characters": {"function": "x" * 201},
    "an empty function name": {"function": ""},
    "a list as a name": {"name": ["x"]},
    "an object as custom id": {"custom_id": {"a": 1}},
    "true as custom id": {"custom_id": True},
    "params that are a list": {"params": [1]},
    "params that are a number": {"params": 1},
    "params that are not JSON text": {"params": "value=1"},
    "bytes": {"params": {"value": b"x"}},
    "a Python object": {"params": {"value": object()}},
    "a superscript as priority": {"priority": "²"},
    "an unknown priority": {"priority": "urgent"},
    "priority 0": {"priority": 0},
    "priority true": {"priority": True},
    "negative retries": {"max_retries": -1},
    "fractional retries": {"max_retries": 1.5},
    "a word as retries": {"max_retries": "many"},
    "true as retries": {"max_retries": True},
    "true as a delay": {"retry_delay": True},
    "false as a timeout": {"timeout": False},
    "a negative delay": {"retry_delay": -1},
    "a timeout of zero": {"timeout": 0},
    "a time below the range": {"run_at": "0001-01-01T00:00:00+14:00"},
    "a time above the range": {"run_at": "9999-12-31T23:59:59-14:00"},
    "an invalid time": {"run_at": "tomorrow"},
    "NaN as a time": {"run_at": NAN},
    "a timestamp above the range": {"run_at": 1e300},
}


@pytest.mark.parametrize("fields", HOSTILE.values(), ids=HOSTILE)
def test_hostile_values_are_rejected_with_field_and_reason(fields):
    [error] = _refused({"function": "free", **fields})
    assert error["index"] == 0
    assert error["field"].split(".")[0] == next(iter(fields))
    assert 5 < len(error["reason"]) < 500


@override_settings(BATCH_MAX_PARAMS=1_000)
def test_size_limit_applies_to_params_as_json():
    _check({"function": "free", "params": {"value": "x" * 950}})
    [error] = _refused({"function": "free", "params": {"value": "x" * 1_000}})
    assert error["field"] == "params" and "1,000 are allowed" in error["reason"]
    [error] = _refused({"function": "free", "params": {"value": "ä" * 600}})
    assert error["field"] == "params"


@pytest.mark.parametrize(
    "value",
    [
        "ä € 👍 עברית e\u0301 \u202e",
        "\\u0000 as it is written",
        1e308,
        -0.0,
        2**63 - 1,
        -(2**63),
        _nested(62),
        {"k" * 256: 1},
        "=1+1",
        None,
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_unusual_valid_values_are_stored_unchanged(value):
    [task] = _check({"function": "free", "params": {"value": value}})
    assert orjson.loads(task.params) == {"value": value}


# --- lists of errors ---------------------------------------------------------------------------------------------


def test_all_errors_are_reported_together():
    errors = _refused(
        {"function": "free", "custom_id": "good"},
        {"function": "free", "priority": "urgent", "max_retries": -1, "custom_id": "bad", "colour": "red"},
        "no task at all",
        {"function": "no_such_function", "custom_id": "lost"},
        {"params": {}},
        {"function": "simulate", "params": {"duration": -1, "speed": 2}},
        {"function": "off"},
        {"function": "free", "custom_id": "good"},
    )
    found = {(error["index"], error["field"]) for error in errors}
    assert found == {
        (1, "priority"), (1, "max_retries"), (1, "colour"), (2, ""), (3, "function"), (4, "function"),
        (5, "params.duration"), (5, "params.speed"), (6, "function"), (7, "custom_id"),
    }  # fmt: skip
    by_index = {error["index"]: error for error in errors}
    assert [by_index[index]["custom_id"] for index in (1, 2, 3, 7)] == ["bad", None, "lost", "good"]
    assert "item 0" in by_index[7]["reason"]
    assert "switched off" in by_index[6]["reason"]
    assert all(error["reason"] for error in errors)


def test_message_counts_invalid_tasks_not_errors():
    with pytest.raises(BadTasks, match="2 of 3 tasks are wrong"):
        _check({"function": "free"}, {"function": "free", "priority": 9, "timeout": -1}, 5)


def test_error_for_an_unknown_field_lists_the_known_ones():
    [error] = _refused({"function": "free", "priorty": "high"})
    assert error["field"] == "priorty" and "priority" in error["reason"] and "max_retries" in error["reason"]


def test_error_for_an_unknown_function_names_the_nearest():
    [error] = _refused({"function": "simulat"})
    assert "'simulate'" in error["reason"]


def test_list_of_errors_is_truncated():
    with pytest.raises(BadTasks, match=r"1,500 of 1,500 tasks are wrong\. The first 1,000 are listed") as caught:
        _check(*[{}] * 1_500)
    assert len(caught.value.errors) == 1_000


def test_empty_list_of_tasks_is_rejected():
    assert _refused() == []


@override_settings(BATCH_MAX_TASKS=3)
def test_too_many_tasks_are_rejected_before_all_are_read():
    read = []

    def endless():
        while True:
            read.append(1)
            yield {"function": "free"}

    with pytest.raises(BadTasks, match="at most 3"):
        validate_items(endless(), caller_of_shell())
    assert len(read) <= 4


# --- accepted forms -----------------------------------------------------------------------------------------------


def test_numbers_are_accepted_as_text():
    [task] = _check(
        {
            "function": "simulate",
            "params": '{"duration": "0.5", "fail_times": "2"}',
            "priority": "4",
            "max_retries": "7",
            "retry_delay": "2.5",
            "timeout": "60",
        }
    )
    assert (task.priority, task.max_retries, task.retry_delay, task.timeout) == (4, 7, 2.5, 60.0)


@pytest.mark.parametrize("priority", ["high", "HIGH", " High ", 3, "3", Priority.HIGH])
def test_priority_is_accepted_by_name_or_number(priority):
    [task] = _check({"function": "free", "priority": priority})
    assert task.priority == Priority.HIGH


def test_missing_fields_have_their_defaults():
    [task] = _check({"function": "free"})
    assert (task.params, task.name, task.custom_id, task.priority) == ("{}", "", None, Priority.MEDIUM)
    assert (task.max_retries, task.retry_delay, task.timeout, task.run_after) == (3, 1.0, None, None)


@pytest.mark.parametrize("function", ["function", "tool_name", "tool"])
@pytest.mark.parametrize("params", ["params", "tool_args", "args"])
def test_aliases_of_function_and_params_are_accepted(function, params):
    [task] = _check({function: "free", params: {"value": 1}})
    assert (task.function, orjson.loads(task.params)) == ("free", {"value": 1})


@pytest.mark.parametrize("nothing", [None, {}, "{}"])
def test_empty_params_are_accepted_in_each_form(nothing):
    [task] = _check({"function": "free", "params": nothing})
    assert task.params == "{}"


@pytest.mark.parametrize("word", ["run_at", "run_after"])
def test_time_without_a_zone_is_utc(word):
    naive, zoned = _check(
        {"function": "free", word: "2030-01-02T03:04:05"}, {"function": "free", word: "2030-01-02T05:04:05+02:00"}
    )
    assert naive.run_after == zoned.run_after == datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_numeric_custom_id_is_stored_as_text():
    [task] = _check({"function": "free", "custom_id": 17})
    assert task.custom_id == "17"
    assert _refused({"function": "free", "custom_id": 17}, {"function": "free", "custom_id": "17"})


def test_defaults_apply_to_missing_fields_only():
    first, second = _check(
        {"params": {"value": 1}},
        {"function": "simulate", "priority": "low"},
        defaults={"function": "free", "priority": "high", "max_retries": 0},
    )
    assert (first.function, first.priority, first.max_retries) == ("free", Priority.HIGH, 0)
    assert (second.function, second.priority, second.max_retries) == ("simulate", Priority.LOW, 0)


def test_aliases_in_an_item_override_the_defaults():
    [task] = _check(
        {"tool_name": "simulate", "tool_args": {"duration": 0}},
        defaults={"function": "free", "params": {"value": 1}},
    )
    assert (task.function, orjson.loads(task.params)) == ("simulate", {"duration": 0})


def test_defaults_accept_aliases():
    [task] = _check({"function": "simulate"}, defaults={"tool_name": "free", "tool_args": {"duration": 0}})
    assert (task.function, orjson.loads(task.params)) == ("simulate", {"duration": 0})


def test_ids_are_in_ascending_order():
    tasks = _check(*[{"function": "free"}] * 500)
    ids = [task.task_id for task in tasks]
    assert ids == sorted(set(ids))


# --- scopes -------------------------------------------------------------------------------------------------------

SUBMITTER = Caller("token:1", "agent", frozenset({"submit"}))


@pytest.mark.parametrize(
    "item",
    [{"function": "secret"}, {"function": "custom_function", "params": {"function": "secret"}}],
    ids=["by name", "by custom_function"],
)
def test_function_with_a_scope_requires_it(item):
    with pytest.raises(NotAllowed, match="'code'"):
        validate_items([item], SUBMITTER)
    [task] = validate_items([item], caller_of_shell())
    assert dict(zip(NEW_TASK_COLUMNS, task, strict=True))["function"] == item["function"]
