"""Batches, tasks and metrics as tables."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson

from executor.domain.formatting import duration, megabytes
from executor.domain.states import TaskStatus
from executor.reads.task_table import MAX_CHARS, TERMINAL_COLUMNS

from .screen import Screen

COUNTS = TaskStatus.values


def batches(screen: Screen, rows: list[dict]) -> None:
    """Print a list of batches."""
    columns = ("batch", "name", "state", "tasks ", *(f"{name} " for name in COUNTS), "done ", "created")
    screen.table(
        columns,
        [
            (
                row["batch_id"],
                row["name"],
                row["state"],
                f"{row['stats']['total_tasks']:,}",
                *(f"{row['request_counts'][name]:,}" for name in COUNTS),
                f"{row['stats']['progress_percentage']:g} %",
                _minute(row["created_at"]),
            )
            for row in rows
        ],
    )


def status(screen: Screen, batch: dict) -> None:
    """Print the state, the counters and, where present, the metrics of a batch."""
    stats = batch["stats"]
    rows = [("batch", batch["batch_id"]), ("name", batch["name"] or None), ("state", batch["state"])]
    rows += [("at once", batch["max_concurrent"]), ("tasks", f"{stats['total_tasks']:,}")]
    rows += [(name, f"{batch['request_counts'][name]:,}") for name in COUNTS]
    waiting = [f"{count:,} {name}" for name, count in stats["queued_by_priority"].items() if count]
    rows += [("queued by priority", ", ".join(waiting) or None), ("retries", f"{stats['retries']:,}")]
    rows += [("started", _minute(batch["started_at"])), ("finished", _minute(batch["finished_at"]))]
    screen.table(("", ""), rows)
    if metrics := batch.get("metrics"):
        _metrics(screen, metrics)


def _metrics(screen: Screen, metrics: dict) -> None:
    rows = [
        ("success rate", _percent(metrics["success_rate"])),
        ("failure rate", _percent(metrics["failure_rate"])),
        ("average execution time", duration(metrics["average_execution_time"])),
        ("average wait time", duration(metrics["average_wait_time"])),
        ("throughput", f"{metrics['throughput']:,.1f} tasks/s"),
        ("time remaining", duration(metrics["estimated_time_remaining"])),
    ]
    screen.table(("", ""), rows)
    screen.table(
        ("worker", "host", "running ", "slots ", "CPU ", "memory "),
        [
            (
                worker["name"],
                worker["host"],
                worker["running"],
                worker["concurrency"],
                f"{worker['cpu_percent']:.0f} %",
                megabytes(worker["memory_bytes"]),
            )
            for worker in metrics["active_workers"]
        ],
    )


def results(screen: Screen, rows: list[dict], fields: list[str] | None = None) -> None:
    """Print tasks with the columns of the terminal, or with these fields."""
    if fields:
        screen.table(fields, [[_value(row.get(name)) for name in fields] for row in rows])
        return
    now = datetime.now(UTC)
    headings = [f"{column.label.lower()} " if column.end else column.label.lower() for column in TERMINAL_COLUMNS]
    screen.table(headings, [[column.text(row, now) or None for column in TERMINAL_COLUMNS] for row in rows])


def preview(screen: Screen, data: dict) -> None:
    """Print the tasks that an action would delete and keep."""
    deleted, kept = data["would_delete"], data["kept"]
    rows = [(name, deleted.get(name, 0), kept.get(name, 0)) for name in COUNTS if deleted.get(name) or kept.get(name)]
    screen.table(("status", "deleted ", "kept "), rows)


def _value(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    text = orjson.dumps(value).decode()
    return text if len(text) <= MAX_CHARS else f"{text[:MAX_CHARS]}…"


def _minute(moment: str | None) -> str | None:
    return moment and moment[:19].replace("T", " ")


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.1f} %"
