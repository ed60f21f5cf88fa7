"""One shape of batch, task and worker for every adapter: API, page, socket, command line.

Everything here is ready to be JSON. Times are ISO 8601 in UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from executor.domain.states import BatchState, Priority
from executor.models import Batch, BatchTask, TaskAttempt, WorkerNode

from . import estimate

PRIORITY_NAME = {int(priority): priority.label for priority in Priority}


def moment(value: datetime | None) -> str | None:
    """2026-01-31T12:00:00.123456Z"""
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def batch(row: Batch, now: datetime) -> dict:
    """A batch with its counters; `row.stats` must be loaded."""
    stats = row.stats
    counts = {name: getattr(stats, name) for name in ("queued", "running", "completed", "failed", "cancelled")}
    batch_id = str(row.batch_id)
    return {
        "batch_id": batch_id,
        "object": "batch",
        "name": row.name,
        "owner": row.owner,
        "state": str(row.state),
        "max_concurrent": row.max_concurrent,
        "metadata": row.metadata,
        "created_at": moment(row.created_at),
        "started_at": moment(stats.start_time),
        "finished_at": moment(stats.end_time),
        "seq": stats.seq,
        "request_counts": counts,
        "stats": {
            "total_tasks": stats.total_tasks,
            **counts,
            "start_time": moment(stats.start_time),
            "end_time": moment(stats.end_time),
            "total_execution_time": round(stats.total_execution_time, 6),
            "average_task_time": round(estimate.average_task_time(stats), 6),
            "progress_percentage": estimate.progress_percentage(stats),
            "estimated_time_remaining": estimate.estimated_time_remaining(stats, row.state, row.max_concurrent, now),
            "retries": stats.retries,
            "queued_by_priority": queue_depth(row),
        },
        "next": next_call(row.batch_id, row.state, stats.total_tasks),
    }


def queue_depth(row: Batch) -> dict[str, int]:
    """Queued tasks by priority, the highest first."""
    return {
        priority.label: getattr(row.stats, f"queued_{priority.label}") for priority in sorted(Priority, reverse=True)
    }


def next_call(batch_id: UUID, state: str, tasks: int) -> str:
    """The call that most probably comes next, as an agent would write it."""
    if not tasks:
        return f'add_batch {{"batch": "{batch_id}", "tasks": [...]}}'
    if state in (BatchState.OPEN, BatchState.STOPPED):
        return f'start {{"batch": "{batch_id}"}}'
    if state == BatchState.FINISHED:
        return f'results {{"batch": "{batch_id}"}}'
    return f'wait {{"batch": "{batch_id}", "timeout": 30}}'


def metrics(row: Batch, workers: list[dict], now: datetime) -> dict:
    """All metrics of a batch, for `status(detailed=true)`."""
    stats = row.stats
    ended = stats.completed + stats.failed
    return {
        "total_tasks": stats.total_tasks,
        "success_rate": round(stats.completed / ended, 4) if ended else None,
        "failure_rate": round(stats.failed / ended, 4) if ended else None,
        "average_execution_time": round(estimate.average_task_time(stats), 6),
        "average_wait_time": round(stats.total_wait_time / stats.started, 6) if stats.started else None,
        "queue_depth": queue_depth(row),
        "active_workers": workers,
        "throughput": round(estimate.throughput(stats, now), 3),
        "progress_percentage": estimate.progress_percentage(stats),
        "estimated_time_remaining": estimate.estimated_time_remaining(stats, row.state, row.max_concurrent, now),
        "retries": stats.retries,
    }


RESULT_COLUMNS = (
    *("task_id", "batch_id", "number", "custom_id", "name", "function", "priority", "status", "result", "error"),
    *("error_kind", "retry_count", "max_retries", "attempt", "created_at", "started_at", "completed_at"),
    *("execution_time", "worker", "run_after", "progress"),
)
_TIMES = ("created_at", "started_at", "completed_at", "run_after")


def task(row: dict) -> dict:
    """A task from its `.values(*RESULT_COLUMNS)`, or from any part of them."""
    shown = dict(row)
    for name in ("task_id", "batch_id"):
        if name in shown:
            shown[name] = str(shown[name])
    if "priority" in shown:
        shown["priority"] = PRIORITY_NAME[shown["priority"]]
    for name in _TIMES:
        if shown.get(name) is not None:
            shown[name] = moment(shown[name])
    for name in ("error", "error_kind", "worker"):
        if name in shown:
            shown[name] = shown[name] or None
    if shown.get("execution_time") is not None:
        shown["execution_time"] = round(shown["execution_time"], 6)
    return shown


def task_detail(row: BatchTask) -> dict:
    """A task with its parameters and its attempts."""
    return {
        **task({name: getattr(row, name) for name in RESULT_COLUMNS}),
        "params": row.params,
        "retry_delay": row.retry_delay,
        "timeout": row.timeout,
        "dispatched_at": moment(row.dispatched_at),
        "cancel_requested_at": moment(row.cancel_requested_at),
        "attempts": [attempt(each) for each in row.attempts.order_by("number")],
    }


def attempt(row: TaskAttempt) -> dict:
    """An attempt that did not complete."""
    return {
        "number": row.number,
        "outcome": row.outcome,
        "error_kind": row.error_kind or None,
        "error": row.error or None,
        "traceback": row.traceback or None,
        "output": row.output,
        "worker": row.worker or None,
        "started_at": moment(row.started_at),
        "ended_at": moment(row.ended_at),
    }


def worker(row: WorkerNode) -> dict:
    """A worker process and what it uses; of one that is gone, nothing."""
    gone = row.state in (WorkerNode.State.STOPPED, WorkerNode.State.DEAD)
    return {
        "name": row.name,
        "host": row.host,
        "pid": row.pid,
        "state": str(row.state),
        "concurrency": row.concurrency,
        "running": 0 if gone else row.running,
        "cpu_percent": 0.0 if gone else round(row.cpu_percent, 1),
        "memory_bytes": 0 if gone else row.memory_bytes,
        "queues": row.queues,
        "sandbox": row.info.get("sandbox"),
        "started_at": moment(row.started_at),
        "heartbeat_at": moment(row.heartbeat_at),
    }
