"""Task functions: what a task can do. One file each; a Django app adds its own in `batch_functions.py`.

@task_function("resize", example={"path": "a.png", "width": 100})
def resize(path: str, width: int = 200) -> dict:
    ...
"""

from .context import TaskContext
from .registry import TaskFunction, any_plain, autodiscover, faults, lookup, names, resolve, task_function, validate

__all__ = [
    "TaskContext",
    "TaskFunction",
    "any_plain",
    "autodiscover",
    "faults",
    "lookup",
    "names",
    "resolve",
    "task_function",
    "validate",
]
