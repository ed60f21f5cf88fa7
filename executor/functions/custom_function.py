"""custom_function: a function that a Django app registered, called by its name."""

from pydantic import BaseModel, ConfigDict, Field

from executor.domain.errors import UnknownFunction

from .registry import lookup, names, task_function


class CustomFunctionParameters(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    name: str = Field(alias="function", description="The name it was registered under.")
    params: dict = Field(default_factory=dict, description="Its parameters.")


def _target(params: dict) -> tuple[str, dict]:
    wanted = CustomFunctionParameters.model_validate(params)
    if lookup(wanted.name).built_in:
        own = [name for name in names() if not lookup(name).built_in]
        known = ", ".join(own) or "none"
        raise UnknownFunction(
            f"{wanted.name!r} is built in: call it by its own name. Registered by apps: {known}.", retryable=False
        )
    return wanted.name, wanted.params


@task_function("custom_function", example={"function": "my_function", "params": {"x": 1}}, delegate=_target)
def custom_function(params: CustomFunctionParameters):
    """Call a function that a Django app registered in its `batch_functions.py`.

    Each of them is also a function under its own name.
    """
    raise AssertionError("resolved to its target before it runs")
