"""Progress, rates and the remaining time of a batch, from its counters."""

from __future__ import annotations

from datetime import datetime

from executor.domain.states import FINAL, BatchState
from executor.models import BatchStats

SHORT = 0.05  # seconds; for shorter tasks the queue's own cost dominates, and the measured rate is the better guide


def progress_percentage(stats: BatchStats) -> float:
    """Return the share of final tasks in percent; 0 for an empty batch."""
    return round(100 * final_tasks(stats) / stats.total_tasks, 2) if stats.total_tasks else 0.0


def final_tasks(stats: BatchStats) -> int:
    """Return the number of tasks in a final status."""
    return sum(getattr(stats, status) for status in FINAL)


def average_task_time(stats: BatchStats) -> float:
    """Return the average execution time of completed and failed tasks, in seconds."""
    ended = stats.completed + stats.failed
    return stats.total_execution_time / ended if ended else 0.0


def throughput(stats: BatchStats, now: datetime) -> float:
    """Return the completed and failed tasks per second since the first start of the batch."""
    if stats.start_time is None:
        return 0.0
    seconds = ((stats.end_time or now) - stats.start_time).total_seconds()
    return (stats.completed + stats.failed) / seconds if seconds > 0 else 0.0


def estimated_time_remaining(stats: BatchStats, state: str, max_concurrent: int, now: datetime) -> float | None:
    """Return the seconds until the last task ends.

    None while it cannot be estimated: no task has ended yet, none is running, or the last tasks take longer than the
    earlier ones.
    """
    left = stats.queued + stats.running
    if not left:
        return 0.0 if stats.total_tasks else None
    if state != BatchState.RUNNING or not stats.completed + stats.failed:
        return None
    average = average_task_time(stats)
    if not stats.queued and stats.changed_at and (now - stats.changed_at).total_seconds() > average:
        return None
    if average < SHORT:
        rate = throughput(stats, now)
        return round(left / rate, 1) if rate else None
    slots = min(stats.running or max_concurrent, left)
    return round(average * (stats.queued + stats.running / 2) / slots, 1)
