"""The verdict on a chaos run: every promise, checked against the rows, the log, and what the tasks wrote down."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from executor.db.dialect import hex_of
from executor.domain.states import FINAL, TaskStatus
from executor.models import Batch, BatchTask, TaskAttempt, WorkerNode
from executor.testbed.invariants import PROMISES, Findings, examine

from . import KILLS
from .batch_functions import marks_path
from .load import MUST_COMPLETE

if TYPE_CHECKING:
    from .callers import Callers

SHOWN = 20  # breaches told in full
CHARGED = "failed"  # the outcome of an attempt that counts


def judge(callers: Callers, settled: float | None, folder: Path) -> dict:
    """What came of everything; `breaches` is empty when every promise was kept."""
    total, statuses = Findings(), Counter()
    total.breaches += callers.mistakes
    total.expect(1, settled is not None, "not every task came to its end")
    for batch_id, handed in callers.handed.items():
        found = examine(batch_id, handed.orders)
        name = handed.call["name"]
        total.breaches += [(promise, f"{name}: {told}") for promise, told in found.breaches]
        for what in ("tasks", "frames", "moves", "claims"):
            setattr(total, what, getattr(total, what) + getattr(found, what))
        statuses.update(_tasks(batch_id, handed, total))
    total.equal(9, "tasks handed over", sum(len(handed.task_ids) for handed in callers.handed.values()), total.tasks)
    batches = Batch.objects.count()
    total.equal(10, "batches", len(callers.handed), batches)
    written = Batch.objects.filter(name__in=callers.refused).count()
    total.expect(10, not written, f"{written} calls were refused and have made batches")
    runs = _runs(total)
    broken = Counter(promise for promise, _ in total.breaches)
    kinds = Counter(TaskAttempt.objects.values_list("outcome", "error_kind"))
    lost = sum(count for (_, kind), count in kinds.items() if kind == "worker_lost")
    died = sum(count for (_, kind), count in kinds.items() if kind == "process_died")
    released = sum(count for (outcome, _), count in kinds.items() if outcome == "released")
    return {
        "done": dict(callers.done),
        "unavailable": callers.unavailable,
        "outcomes": {
            "batches": batches,
            "tasks": total.tasks,
            **{str(status): statuses.get(status, 0) for status in FINAL},
            "not_over": total.tasks - sum(statuses.get(status, 0) for status in FINAL),
            "attempts": total.claims,
            "executions": runs,
            "charged_worker_lost": lost,
            "charged_process_died": died,
            "released": released,
            "frames": total.frames,
            "moves": total.moves,
        },
        "seconds_to_settle": None if settled is None else round(settled, 1),
        "seconds_to_rescue": _rescues(folder),
        "promises": [
            {"number": number, "promise": told, "breaches": broken.get(number, 0)} for number, told in PROMISES.items()
        ],
        "breaches": [f"{promise}: {told}" for promise, told in total.breaches[:SHOWN]],
    }


def _tasks(batch_id: str, handed, total: Findings) -> Counter:
    """Whether each task came to what its kind must come to; how many are in each status."""
    charged = Counter(
        TaskAttempt.objects.filter(task__batch_id=batch_id, outcome=CHARGED).values_list("task_id", flat=True)
    )
    fields = ("task_id", "custom_id", "status", "attempt", "retry_count", "max_retries", "result", "error")
    seen, statuses = set(), Counter()
    for pk, custom_id, status, attempt, retries, allowed, result, error in BatchTask.objects.filter(
        batch_id=batch_id
    ).values_list(*fields):
        seen.add(hex_of(pk))
        statuses[status] += 1
        kind = custom_id.split(":")[0]
        asked = str(pk) in handed.cancelled
        if status == TaskStatus.CANCELLED:
            total.expect(9, asked, f"{custom_id} is cancelled, and nobody asked for that")
        elif kind in MUST_COMPLETE:
            total.expect(9, status == TaskStatus.COMPLETED, f"{custom_id} is {status} ({error[:80]})")
        else:
            ends = status == TaskStatus.FAILED and charged[pk] == allowed + 1 and retries == allowed
            total.expect(7, ends, f"{custom_id} is {status} after {charged[pk]} failures, {allowed} retries allowed")
        if status == TaskStatus.COMPLETED:
            wrote = result["attempt"] if isinstance(result, dict) else None
            total.equal(2, f"{custom_id}: the attempt that wrote the result", attempt, wrote)
            total.equal(2, f"{custom_id}: failures", retries, charged[pk])
    total.expect(9, seen == {hex_of(pk) for pk in handed.task_ids}, f"{handed.call['name']}: other tasks than given")
    return statuses


def _runs(total: Findings) -> int:
    """What the tasks themselves wrote down: no attempt was begun twice, none without a claim, and none completed
    without having been begun. How many executions there were."""
    begun: Counter = Counter()
    path = marks_path()
    for line in path.read_text().splitlines() if path.exists() else ():
        task_id, attempt, *_ = line.split()
        begun[hex_of(task_id), int(attempt)] += 1
    twice = [key for key, count in begun.items() if count > 1]
    total.expect(2, not twice, f"{len(twice)} attempts were begun more than once: {twice[:3]}")
    rows = {hex_of(pk): (attempt, status) for pk, attempt, status in BatchTask.objects.values_list(
        "task_id", "attempt", "status")}  # fmt: skip
    strange = [key for key in begun if key[0] not in rows or key[1] > rows[key[0]][0]]
    total.expect(2, not strange, f"{len(strange)} executions had no claim: {strange[:3]}")
    unseen = [pk for pk, (attempt, status) in rows.items() if status == "completed" and not begun[pk, attempt]]
    total.expect(9, not unseen, f"{len(unseen)} tasks are completed and never ran: {unseen[:3]}")
    return sum(begun.values())


def _rescues(folder: Path) -> dict | None:
    """How long it took, from the kill of a worker until the last of its tasks was given back."""
    path = folder / KILLS
    kills = dict(orjson.loads(path.read_bytes())) if path.exists() else {}
    pids = dict(WorkerNode.objects.values_list("name", "pid"))
    last: dict[int, float] = defaultdict(float)
    lost = TaskAttempt.objects.filter(error_kind="worker_lost").values_list("worker", "ended_at")
    for worker, ended_at in lost:
        pid = pids.get(worker)
        if pid in kills:
            last[pid] = max(last[pid], ended_at.timestamp())
    took = sorted(at - kills[pid] for pid, at in last.items() if at > kills[pid])
    if not took:
        return None
    p95 = took[min(len(took) - 1, int(len(took) * 0.95))]
    return {
        "workers": len(took),
        "p50": round(statistics.median(took), 1),
        "p95": round(p95, 1),
        "max": round(took[-1], 1),
    }
