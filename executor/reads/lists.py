"""Former names of what the modules of this package read; new code imports those."""

from .batches import batch_metrics, batch_of, changed_batches, get_batch, list_batches, recent_progress
from .frames import Frames, frames_after
from .functions import list_functions
from .results import list_results
from .task_filter import TaskFilter
from .tasks import Page, get_task, list_tasks
from .workers import list_workers

batch, batches, metrics, told, pace = get_batch, list_batches, batch_metrics, batch_of, recent_progress
frames, functions, results, task, tasks, workers = (
    *(frames_after, list_functions, list_results),
    *(get_task, list_tasks, list_workers),
)

__all__ = ["Frames", "Page", "TaskFilter", "changed_batches"]
