"""Batches, tasks and metrics as tables."""

from __future__ import annotations

import orjson

from .screen import Screen

LONGEST = 100  # characters of a result or an error in a table
COUNTS = ("queued", "running", "completed", "failed", "cancelled")


def batches(screen: Screen, rows: list[dict]) -> None:
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
        ("average execution time", _seconds(metrics["average_execution_time"])),
        ("average wait time", _seconds(metrics["average_wait_time"])),
        ("throughput", f"{metrics['throughput']:,.1f} tasks/s"),
        ("time remaining", _seconds(metrics["estimated_time_remaining"])),
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
                f"{worker['memory_bytes'] / 1e6:.0f} MB",
            )
            for worker in metrics["active_workers"]
        ],
    )


def results(screen: Screen, rows: list[dict], fields: list[str] | None = None) -> None:
    if fields:
        screen.table(fields, [[_value(row.get(name)) for name in fields] for row in rows])
        return
    columns = ("# ", "custom id", "name", "function", "priority", "status", "attempt ", "seconds ", "result or error")
    screen.table(
        columns,
        [
            (
                row["number"],
                row["custom_id"],
                row["name"],
                row["function"],
                row["priority"],
                row["status"],
                row["attempt"],
                None if row["execution_time"] is None else f"{row['execution_time']:.3f}",
                row["error"][:LONGEST] if row["error"] else _value(row["result"]),
            )
            for row in rows
        ],
    )


def clearing(screen: Screen, data: dict) -> None:
    """What a clear would delete and keep."""
    gone, kept = data["would_delete"], data["kept"]
    rows = [(name, gone.get(name, 0), kept.get(name, 0)) for name in COUNTS if gone.get(name) or kept.get(name)]
    screen.table(("status", "deleted ", "kept "), rows)


def _value(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    text = orjson.dumps(value).decode()
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _minute(moment: str | None) -> str | None:
    return moment and moment[:19].replace("T", " ")


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.1f} %"


def _seconds(seconds: float | None) -> str | None:
    return None if seconds is None else f"{seconds:,.3f} s"
