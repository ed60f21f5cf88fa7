"""System checks: what is wrong with this site is said when it starts, not when a task fails."""

from django.conf import settings
from django.core.checks import Error, register

from executor.functions import registration_errors


@register("batch_functions")
def task_functions(**_options) -> list[Error]:
    """One error for each task function that could not be registered."""
    return [Error(error, id="executor.E001") for error in registration_errors()]


@register
def heartbeats(**_options) -> list[Error]:
    """A worker that beats too seldom is taken for dead, or never judges who is."""
    beat, limit = settings.BATCH_HEARTBEAT, settings.BATCH_HEARTBEAT_LIMIT
    if limit >= 3 * beat:
        return []
    told = f"BATCH_HEARTBEAT_LIMIT is {limit:g} s, less than three times BATCH_HEARTBEAT, {beat:g} s."
    return [Error(told, hint="Raise the limit, or let workers beat more often.", id="executor.E002")]
