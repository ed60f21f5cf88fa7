"""Registration of task functions, and validation of their parameters."""

import pytest
from django.core.checks import run_checks
from pydantic import BaseModel, ConfigDict

from executor.domain.errors import UnknownFunction
from executor.functions import TaskContext, lookup, names, resolve, task_function, validate
from executor.functions.registry import registration_errors, temporary_registrations

CONTEXT = TaskContext(task_id="t", batch_id="b", number=1, attempt=2)


@pytest.fixture(autouse=True)
def _temporary_registrations():
    with temporary_registrations():
        yield


class Picture(BaseModel):
    model_config = ConfigDict(extra="forbid")
    path: str
    width: int = 200


def test_schema_follows_the_signature():
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


def test_function_may_take_its_parameters_as_one_model():
    @task_function()
    async def shrink(picture: Picture, context: TaskContext):
        """Shrink."""

    function = lookup("shrink")
    assert function.is_async
    assert function.arguments({"path": "a"}, CONTEXT) == {"picture": Picture(path="a"), "context": CONTEXT}


@pytest.mark.parametrize("order", ["context first", "context last"])
def test_context_is_not_a_parameter_of_the_task(order):
    if order == "context first":

        @task_function("contextual")
        def contextual(context: TaskContext, x: int):
            """Contextual."""
    else:

        @task_function("contextual")
        def contextual(x: int, context: TaskContext):
            """Contextual."""

    assert list(lookup("contextual").parameters.model_fields) == ["x"]
    assert validate("contextual", {"x": 1}) == []
    assert validate("contextual", {"x": 1, "context": {}})
    assert lookup("contextual").arguments({"x": 1}, CONTEXT) == {"x": 1, "context": CONTEXT}


def test_model_may_follow_the_context():
    @task_function("behind")
    def behind(context: TaskContext, picture: Picture):
        """Behind."""

    function = lookup("behind")
    assert function.arguments({"picture": {"path": "a"}}, CONTEXT)["picture"] == Picture(path="a")


def test_function_without_parameters_rejects_all():
    @task_function("nothing")
    def nothing():
        """Nothing."""

    assert validate("nothing", {}) == []
    assert validate("nothing", {"x": 1}) == [("params.x", "unknown parameter; nothing takes: none")]


def variadic(*args):
    """Variadic."""


def positional(x, /):
    """Positional."""


def unresolvable(x: "NoSuchType"):  # noqa: F821 - intended
    """Its type hint cannot be resolved."""


@pytest.mark.parametrize(
    ("name", "call", "why"),
    [
        ("variadic", variadic, "'args' must be passable by name"),
        ("positional", positional, "'x' must be passable by name"),
        ("unresolvable", unresolvable, "NoSuchType"),
        ("simulate", variadic, "exists in executor.functions.simulate"),
    ],
)
def test_system_check_reports_a_function_that_cannot_be_registered(name, call, why):
    known = {each: lookup(each) for each in names()}
    before = registration_errors()
    task_function(name)(call)
    [error] = [each for each in run_checks() if each.id == "executor.E001" and each.msg not in before]
    assert repr(name) in error.msg and __name__ in error.msg and why in error.msg
    assert {each: lookup(each) for each in names()} == known


def test_all_functions_of_this_site_are_registered():
    assert not [each for each in run_checks() if each.id == "executor.E001"]


def test_validate_names_every_wrong_parameter():
    found = dict(validate("simulate", {"duration": -1, "failure_rate": "often", "typo": 1}))
    assert found.keys() == {"params.duration", "params.failure_rate", "params.typo"}


def test_lookup_of_an_unknown_function_names_the_nearest_or_all():
    with pytest.raises(UnknownFunction, match="did you mean 'simulate'") as caught:
        lookup("simulat")
    assert not caught.value.retryable
    with pytest.raises(UnknownFunction, match=r"known are .*simulate"):
        lookup("zzzzzzzz")


def test_built_in_functions_have_documentation_and_examples():
    built_in = [name for name in names() if lookup(name).built_in]
    assert {"simulate", "custom_function", "code_execution"} <= set(built_in)
    for name in built_in:
        function = lookup(name)
        assert function.summary and function.doc, f"{name} has no docstring"
        assert function.example, f"{name} has no example"


def test_examples_of_built_in_functions_are_valid():
    for name in names():
        function = lookup(name)
        if function.built_in and function.delegate is None:
            function.parameters.model_validate(function.example)


# --- custom_function ---------------------------------------------------------------------------------------


def test_custom_function_validates_the_targets_parameters():
    function, params = resolve("custom_function", {"function": "ok", "params": {"value": "x"}})
    assert (function.name, params) == ("ok", {"value": "x"})
    assert validate("custom_function", {"function": "ok", "params": {"value": "x"}}) == []
    assert validate("custom_function", {"function": "ok", "params": {"val": "x"}})[0][0] == "params.val"
    assert validate("custom_function", {"params": {}})[0][0] == "params.function"


@pytest.mark.parametrize("name", ["simulate", "custom_function"])
def test_custom_function_rejects_built_in_functions(name):
    [(field, reason)] = validate("custom_function", {"function": name, "params": {}})
    assert field == "function" and "built in" in reason


def test_custom_function_names_an_unknown_target():
    [(field, reason)] = validate("custom_function", {"function": "unknown", "params": {}})
    assert field == "function" and "'unknown'" in reason


def test_unavailable_function_is_rejected_with_its_reason():
    @task_function("off", unavailable=lambda: "it is switched off")
    def off():
        """Off."""

    assert validate("off", {}) == [("function", "it is switched off")]
    assert validate("custom_function", {"function": "off", "params": {}}) == [("function", "it is switched off")]
