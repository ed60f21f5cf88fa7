"""System checks: report faults of this site at its start, before a task fails.

Ranges of single settings are checked where they are read (batchsite/environment.py).
"""

from typing import Any

from django.conf import settings
from django.core.checks import Error, register

from executor.functions import registration_errors


@register("batch_functions")
def check_task_functions(**_options: Any) -> list[Error]:
    """Return an error for each task function that could not be registered."""
    return [Error(error, id="executor.E001") for error in registration_errors()]


@register("batch_settings")
def check_heartbeat(**_options: Any) -> list[Error]:
    """Return an error if the limit is so short that workers are declared dead while they work."""
    interval, limit = settings.BATCH_HEARTBEAT, settings.BATCH_HEARTBEAT_LIMIT
    if limit >= 3 * interval:
        return []
    message = f"BATCH_HEARTBEAT_LIMIT is {limit:g} s, less than three times BATCH_HEARTBEAT, {interval:g} s."
    return [Error(message, hint="Raise the limit, or shorten the interval.", id="executor.E002")]
