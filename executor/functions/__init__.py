"""Task functions, one file each. A Django app adds its own in `batch_functions.py`.

@task_function("resize", example={"path": "a.png", "width": 100})
def resize(path: str, width: int = 200) -> dict:
    ...
"""

from .context import TaskContext
from .registry import (
    TaskFunction,
    autodiscover,
    has_plain_functions,
    lookup,
    names,
    registration_errors,
    resolve,
    task_function,
)
from .validation import validate

__all__ = [
    "TaskContext",
    "TaskFunction",
    "autodiscover",
    "has_plain_functions",
    "lookup",
    "names",
    "registration_errors",
    "resolve",
    "task_function",
    "validate",
]
