"""System checks: what is wrong with this site is said when it starts, not when a task fails."""

from django.core.checks import Error, register

from executor.functions import faults


@register("batch_functions")
def task_functions(**_options) -> list[Error]:
    """One error for each task function that could not be registered."""
    return [Error(fault, id="executor.E001") for fault in faults()]
