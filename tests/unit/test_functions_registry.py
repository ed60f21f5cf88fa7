"""How a Python function becomes a task function, and what is said of wrong parameters."""

import pytest
from django.core.checks import run_checks
from pydantic import BaseModel, ConfigDict

from executor.domain.errors import UnknownFunction
from executor.functions import TaskContext, lookup, names, resolve, task_function, validate
from executor.functions import registry as _registry

CONTEXT = TaskContext(task_id="t", batch_id="b", number=1, attempt=2)


@pytest.fixture(autouse=True)
def _forget(monkeypatch):
    """Remove what a test has registered."""
    monkeypatch.setattr(_registry, "_functions", dict(_registry._functions))


class Picture(BaseModel):
    model_config = ConfigDict(extra="forbid")
    path: str
    width: int = 200


def test_the_signature_is_the_schema():
    @task_function("resize", example={"path": "a.png"})
    def resize(path: str, width: int = 200, *, sharp: bool = False) -> dict:
        """Make a picture smaller.

        More about it.
        """

    function = lookup("resize")
    assert (function.summary, function.example) == ("Make a picture smaller.", {"path": "a.png"})
    assert "More about it." in function.doc
    schema = function.parameters.model_json_schema()
    assert schema["required"] == ["path"]
    assert {name: part["type"] for name, part in schema["properties"].items()} == {
        "path": "string",
        "width": "integer",
        "sharp": "boolean",
    }
    assert function.arguments({"path": "a", "width": "7"}, CONTEXT) == {"path": "a", "width": 7, "sharp": False}
    assert not function.is_async and not function.built_in


def test_a_function_may_take_its_parameters_as_one_model():
    @task_function()
    async def shrink(picture: Picture, context: TaskContext):
        """Shrink."""

    function = lookup("shrink")
    assert function.is_async
    assert function.arguments({"path": "a"}, CONTEXT) == {"picture": Picture(path="a"), "context": CONTEXT}


@pytest.mark.parametrize("order", ["context first", "context last"])
def test_the_context_is_no_parameter_of_the_task(order):
    if order == "context first":

        @task_function("told")
        def told(context: TaskContext, x: int):
            """Told."""
    else:

        @task_function("told")
        def told(x: int, context: TaskContext):
            """Told."""

    assert list(lookup("told").parameters.model_fields) == ["x"]
    assert validate("told", {"x": 1}) == []
    assert validate("told", {"x": 1, "context": {}})
    assert lookup("told").arguments({"x": 1}, CONTEXT) == {"x": 1, "context": CONTEXT}


def test_a_model_behind_the_context_is_taken_too():
    @task_function("behind")
    def behind(context: TaskContext, picture: Picture):
        """Behind."""

    function = lookup("behind")
    assert function.arguments({"picture": {"path": "a"}}, CONTEXT)["picture"] == Picture(path="a")


def test_a_function_without_parameters_takes_none():
    @task_function("nothing")
    def nothing():
        """Nothing."""

    assert validate("nothing", {}) == []
    assert validate("nothing", {"x": 1}) == [("params.x", "unknown parameter; nothing takes: none")]


def variadic(*args):
    """Variadic."""


def positional(x, /):
    """Positional."""


def puzzling(x: "NoSuchType"):  # noqa: F821 - meant
    """Its type hint means nothing."""


@pytest.mark.parametrize(
    ("name", "call", "why"),
    [
        ("variadic", variadic, "'args' must be one that can be named"),
        ("positional", positional, "'x' must be one that can be named"),
        ("puzzling", puzzling, "NoSuchType"),
        ("simulate", variadic, "exists in executor.functions.simulate"),
    ],
)
def test_a_function_that_cannot_be_used_is_told_by_the_system_check(monkeypatch, name, call, why):
    monkeypatch.setattr(_registry, "_faults", [])
    known = _registry._functions.get(name)
    task_function(name)(call)
    [fault] = [each for each in run_checks() if each.id == "executor.E001"]
    assert repr(name) in fault.msg and __name__ in fault.msg and why in fault.msg
    assert _registry._functions.get(name) is known, "and nothing else has changed"


def test_the_functions_of_this_site_can_all_be_used():
    assert not [each for each in run_checks() if each.id == "executor.E001"]


def test_every_wrong_parameter_is_named():
    found = dict(validate("simulate", {"duration": -1, "failure_rate": "often", "typo": 1}))
    assert found.keys() == {"params.duration", "params.failure_rate", "params.typo"}


def test_an_unknown_function_names_the_nearest_or_all():
    with pytest.raises(UnknownFunction, match="did you mean 'simulate'") as caught:
        lookup("simulat")
    assert not caught.value.retryable
    with pytest.raises(UnknownFunction, match=r"known are .*simulate"):
        lookup("zzzzzzzz")


def test_the_built_in_ones_are_there_and_marked():
    built_in = [name for name in names() if lookup(name).built_in]
    assert {"simulate", "custom_function", "code_execution"} <= set(built_in)
    for name in built_in:
        function = lookup(name)
        assert function.summary and function.doc, f"{name} has no docstring"
        assert function.example, f"{name} has no example"


def test_the_examples_of_built_in_functions_are_right():
    for name in names():
        function = lookup(name)
        if function.built_in and function.delegate is None:
            function.parameters.model_validate(function.example)


# --- custom_function ---------------------------------------------------------------------------------------


def test_a_custom_function_is_called_by_its_name_with_its_own_checks():
    function, params = resolve("custom_function", {"function": "ok", "params": {"value": "x"}})
    assert (function.name, params) == ("ok", {"value": "x"})
    assert validate("custom_function", {"function": "ok", "params": {"value": "x"}}) == []
    assert validate("custom_function", {"function": "ok", "params": {"val": "x"}})[0][0] == "params.val"
    assert validate("custom_function", {"params": {}})[0][0] == "params.function"


@pytest.mark.parametrize("name", ["simulate", "custom_function"])
def test_a_built_in_one_cannot_be_called_as_a_custom_one(name):
    [(field, reason)] = validate("custom_function", {"function": name, "params": {}})
    assert field == "function" and "built in" in reason


def test_a_function_that_is_not_there_is_named():
    [(field, reason)] = validate("custom_function", {"function": "nobody", "params": {}})
    assert field == "function" and "'nobody'" in reason


def test_what_cannot_run_here_is_refused_with_the_reason():
    @task_function("off", unavailable=lambda: "it is switched off")
    def off():
        """Off."""

    assert validate("off", {}) == [("function", "it is switched off")]
    assert validate("custom_function", {"function": "off", "params": {}}) == [("function", "it is switched off")]
