"""The shapes of batch, task and worker in every adapter: API, page, socket, command line.

They consist of JSON values. Times are ISO 8601 in UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import overload
from uuid import UUID

from executor.domain.states import PRIORITIES, STATUS_SPECS, BatchState
from executor.models import Batch, BatchStats, BatchTask, TaskAttempt, WorkerNode

from . import estimate
from .columns import DETAIL_COLUMNS, EMPTY_IS_NONE, RESULT_COLUMNS, TIME_COLUMNS

PRIORITY_LABEL = {int(priority): priority.label for priority in PRIORITIES}


@overload
def moment(value: datetime) -> str: ...
@overload
def moment(value: None) -> None: ...
@overload
def moment(value: datetime | None) -> str | None: ...
def moment(value: datetime | None) -> str | None:
    """Return a time as text: `2026-01-31T12:00:00.123456Z`."""
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def present_batch(row: Batch, now: datetime) -> dict:
    """Return a batch with its counters; `row.stats` must be loaded.

    `stats` repeats the counts and times of the batch: both are documented, and both come from here.
    """
    stats = row.stats
    counts = status_counts(stats)
    started_at, finished_at = moment(stats.start_time), moment(stats.end_time)
    return {
        "batch_id": str(row.batch_id),
        "object": "batch",
        "name": row.name,
        "owner": row.owner,
        "state": str(row.state),
        "max_concurrent": row.max_concurrent,
        "metadata": row.metadata,
        "created_at": moment(row.created_at),
        "started_at": started_at,
        "finished_at": finished_at,
        "seq": stats.seq,
        "request_counts": counts,
        "stats": {
            **counts,
            "start_time": started_at,
            "end_time": finished_at,
            "total_execution_time": round(stats.total_execution_time, 6),
            "average_task_time": round(estimate.average_task_time(stats), 6),
            "queued_by_priority": queue_depth(stats),
            **_progress(row, now),
        },
        "next": next_call(row.batch_id, row.state, stats.total_tasks),
    }


def status_counts(stats: BatchStats) -> dict[str, int]:
    """Return the tasks in each status."""
    return {status.value: getattr(stats, status) for status in STATUS_SPECS}


def queue_depth(stats: BatchStats) -> dict[str, int]:
    """Return the queued tasks of each priority, the highest first."""
    return {priority.label: getattr(stats, priority.queued_counter) for priority in PRIORITIES}


def _progress(row: Batch, now: datetime) -> dict:
    """Return the numbers that both the counters and the metrics of a batch have."""
    stats = row.stats
    return {
        "total_tasks": stats.total_tasks,
        "progress_percentage": estimate.progress_percentage(stats),
        "estimated_time_remaining": estimate.estimated_time_remaining(stats, row.state, row.max_concurrent, now),
        "retries": stats.retries,
    }


def next_call(batch_id: UUID, state: str, tasks: int) -> str:
    """Return the call that most probably comes next, as an agent would write it."""
    if not tasks:
        return f'add_batch {{"batch": "{batch_id}", "tasks": [...]}}'
    if state in (BatchState.OPEN, BatchState.STOPPED):
        return f'start {{"batch": "{batch_id}"}}'
    if state == BatchState.FINISHED:
        return f'results {{"batch": "{batch_id}"}}'
    return f'wait {{"batch": "{batch_id}", "timeout": 30}}'


def present_metrics(row: Batch, workers: list[dict], now: datetime) -> dict:
    """Return all metrics of a batch, for `status(detailed=true)`."""
    stats = row.stats
    ended = stats.completed + stats.failed
    return {
        "success_rate": round(stats.completed / ended, 4) if ended else None,
        "failure_rate": round(stats.failed / ended, 4) if ended else None,
        "average_execution_time": round(estimate.average_task_time(stats), 6),
        "average_wait_time": round(stats.total_wait_time / stats.started, 6) if stats.started else None,
        "queue_depth": queue_depth(stats),
        "active_workers": workers,
        "throughput": round(estimate.throughput(stats, now), 3),
        **_progress(row, now),
    }


def present_task(row: dict) -> dict:
    """Return a task from its `.values(*RESULT_COLUMNS)`, or from any part of them."""
    task = dict(row)
    for name in ("task_id", "batch_id"):
        if name in task:
            task[name] = str(task[name])
    if "priority" in task:
        task["priority"] = PRIORITY_LABEL[task["priority"]]
    for name in TIME_COLUMNS:
        if task.get(name) is not None:
            task[name] = moment(task[name])
    for name in EMPTY_IS_NONE:
        if name in task:
            task[name] = task[name] or None
    if task.get("execution_time") is not None:
        task["execution_time"] = round(task["execution_time"], 6)
    return task


def present_task_detail(row: BatchTask) -> dict:
    """Return a task with its parameters and its attempts."""
    task = present_task({name: getattr(row, name) for name in (*RESULT_COLUMNS, *DETAIL_COLUMNS)})
    return {**task, "attempts": [present_attempt(attempt) for attempt in row.attempts.order_by("number")]}


def present_attempt(row: TaskAttempt) -> dict:
    """Return an attempt that did not complete."""
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


def present_worker(row: WorkerNode) -> dict:
    """Return a worker process and its resource usage, which is empty once it has ended."""
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
