"""How far a batch is, and when it will be done."""

from __future__ import annotations

from datetime import datetime

from executor.models import BatchStats

SHORT = 0.05  # seconds; below that, what a task costs is mostly the queue's own work


def progress_percentage(stats: BatchStats) -> float:
    """Final tasks of all tasks, in percent; 0 for an empty batch."""
    final = stats.completed + stats.failed + stats.cancelled
    return round(100 * final / stats.total_tasks, 2) if stats.total_tasks else 0.0


def average_task_time(stats: BatchStats) -> float:
    """Seconds that a completed or failed task took, on average."""
    ended = stats.completed + stats.failed
    return stats.total_execution_time / ended if ended else 0.0


def throughput(stats: BatchStats, now: datetime) -> float:
    """Tasks that ended per second since the batch was first started."""
    if stats.start_time is None:
        return 0.0
    seconds = ((stats.end_time or now) - stats.start_time).total_seconds()
    return (stats.completed + stats.failed) / seconds if seconds > 0 else 0.0


def estimated_time_remaining(stats: BatchStats, state: str, max_concurrent: int, now: datetime) -> float | None:
    """Seconds until the last task ends; None while that cannot be known: nothing ended yet, nothing runs, or the last
    ones take longer than those before them."""
    left = stats.queued + stats.running
    if not left:
        return 0.0 if stats.total_tasks else None
    if state != "running" or not stats.completed + stats.failed:
        return None
    average = average_task_time(stats)
    if not stats.queued and stats.changed_at and (now - stats.changed_at).total_seconds() > average:
        return None
    if average < SHORT:
        rate = throughput(stats, now)
        return round(left / rate, 1) if rate else None
    slots = min(stats.running or max_concurrent, left)
    return round(average * (stats.queued + stats.running / 2) / slots, 1)
