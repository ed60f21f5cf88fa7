"""custom_function: call a function of a Django app by its name."""

from typing import NoReturn

from pydantic import BaseModel, ConfigDict, Field

from executor.domain.errors import UnknownFunction

from .registry import lookup, names, task_function


class CustomFunctionParameters(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    name: str = Field(alias="function", description="The name it was registered under.")
    params: dict = Field(default_factory=dict, description="Its parameters.")


def _target(params: dict) -> tuple[str, dict]:
    target = CustomFunctionParameters.model_validate(params)
    if lookup(target.name).built_in:
        known = ", ".join(name for name in names() if not lookup(name).built_in) or "none"
        raise UnknownFunction(
            f"{target.name!r} is built in: call it directly. Functions of apps: {known}.", retryable=False
        )
    return target.name, target.params


@task_function("custom_function", example={"function": "my_function", "params": {"x": 1}}, delegate=_target)
def custom_function(params: CustomFunctionParameters) -> NoReturn:
    """Call a function that a Django app registered in its `batch_functions.py`.

    Each of them is also a function under its own name.
    """
    raise AssertionError("the delegate runs instead")
