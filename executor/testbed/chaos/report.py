"""The report of a chaos run: all invariants, checked against rows, frames and the task functions' own records."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import orjson

from executor.domain.states import FINAL, TaskStatus
from executor.models import Batch, BatchTask, TaskAttempt, WorkerNode
from executor.testbed.auditor import INVARIANTS, Findings, audit

from . import KILLS_FILE
from .batch_functions import record_path
from .load import MUST_COMPLETE

if TYPE_CHECKING:
    from .callers import Callers
    from .submissions import Submission

MAX_BREACHES = 20  # in the report, in full
CHARGED = "failed"  # the outcome of an attempt that counts as a retry


def build_report(callers: Callers, settled: float | None, folder: Path) -> dict:
    """Audit the site and return the report; `breaches` is empty when every invariant held."""
    total = Findings()
    statuses: Counter[str] = Counter()
    total.breaches += callers.breaches
    total.expect(1, settled is not None, "not every task became final in time")
    for batch_id, submission in callers.submissions.items():
        found = audit(batch_id, submission.orders)
        name = submission.call["name"]
        total.breaches += [(number, f"{name}: {text}") for number, text in found.breaches]
        for count in ("tasks", "frames", "moves", "claims"):
            setattr(total, count, getattr(total, count) + getattr(found, count))
        statuses.update(_audit_tasks(batch_id, submission, total))
    total.equal(9, "tasks added", sum(len(each.task_ids) for each in callers.submissions.values()), total.tasks)
    batches = Batch.objects.count()
    total.equal(10, "batches", len(callers.submissions), batches)
    written = Batch.objects.filter(name__in=callers.rejected).count()
    total.expect(10, not written, f"{written} rejected calls have created batches")
    executions = _audit_executions(total)
    broken = Counter(number for number, _ in total.breaches)
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
            "executions": executions,
            "charged_worker_lost": lost,
            "charged_process_died": died,
            "released": released,
            "frames": total.frames,
            "moves": total.moves,
        },
        "seconds_to_settle": None if settled is None else round(settled, 1),
        "seconds_to_rescue": _rescue_seconds(folder),
        "promises": [
            {"number": number, "promise": text, "breaches": broken.get(number, 0)}
            for number, text in INVARIANTS.items()
        ],
        "breaches": [f"{number}: {text}" for number, text in total.breaches[:MAX_BREACHES]],
    }


def _audit_tasks(batch_id: str, submission: Submission, total: Findings) -> Counter:
    """Check that each task has the outcome of its kind; return the number of tasks by status."""
    charged = Counter(
        TaskAttempt.objects.filter(task__batch_id=batch_id, outcome=CHARGED).values_list("task_id", flat=True)
    )
    fields = ("task_id", "custom_id", "status", "attempt", "retry_count", "max_retries", "result", "error")
    seen: set[str] = set()
    statuses: Counter[str] = Counter()
    for pk, custom_id, status, attempt, retries, allowed, result, error in BatchTask.objects.filter(
        batch_id=batch_id
    ).values_list(*fields):
        seen.add(pk)
        statuses[status] += 1
        kind = custom_id.split(":")[0]
        cancel_requested = str(pk) in submission.cancelled
        if status == TaskStatus.CANCELLED:
            total.expect(9, cancel_requested, f"{custom_id} is cancelled without a request")
        elif kind in MUST_COMPLETE:
            total.expect(9, status == TaskStatus.COMPLETED, f"{custom_id} is {status} ({error[:80]})")
        else:
            ends = status == TaskStatus.FAILED and charged[pk] == allowed + 1 and retries == allowed
            total.expect(7, ends, f"{custom_id} is {status} after {charged[pk]} failures, {allowed} retries allowed")
        if status == TaskStatus.COMPLETED:
            writer = result["attempt"] if isinstance(result, dict) else None
            total.equal(2, f"{custom_id}: the attempt that wrote the result", attempt, writer)
            total.equal(2, f"{custom_id}: failures", retries, charged[pk])
    name = submission.call["name"]
    total.expect(
        9, seen == {UUID(pk) for pk in submission.task_ids}, f"{name}: its tasks are not those that were added"
    )
    return statuses


def _audit_executions(total: Findings) -> int:
    """Check the task functions' records: no attempt started twice, or without a claim, or completed without a start.

    Return the number of executions.
    """
    started: Counter = Counter()
    path = record_path()
    for line in path.read_text().splitlines() if path.exists() else ():
        task_id, attempt, *_ = line.split()
        started[UUID(task_id), int(attempt)] += 1
    twice = [key for key, count in started.items() if count > 1]
    total.expect(2, not twice, f"{len(twice)} attempts started more than once: {twice[:3]}")
    rows = {pk: (attempt, status) for pk, attempt, status in BatchTask.objects.values_list(
        "task_id", "attempt", "status")}  # fmt: skip
    unclaimed = [key for key in started if key[0] not in rows or key[1] > rows[key[0]][0]]
    total.expect(2, not unclaimed, f"{len(unclaimed)} executions had no claim: {unclaimed[:3]}")
    unseen = [pk for pk, (attempt, status) in rows.items() if status == "completed" and not started[pk, attempt]]
    total.expect(9, not unseen, f"{len(unseen)} tasks are completed and never ran: {unseen[:3]}")
    return sum(started.values())


def _rescue_seconds(folder: Path) -> dict | None:
    """Return the distribution of seconds from the kill of a worker to the rescue of its last task."""
    path = folder / KILLS_FILE
    kills = dict(orjson.loads(path.read_bytes())) if path.exists() else {}
    pids = dict(WorkerNode.objects.values_list("name", "pid"))
    last: dict[int, float] = defaultdict(float)
    lost = TaskAttempt.objects.filter(error_kind="worker_lost").values_list("worker", "ended_at")
    for worker, ended_at in lost:
        pid = pids.get(worker)
        if pid is not None and pid in kills:
            last[pid] = max(last[pid], ended_at.timestamp())
    seconds = sorted(at - kills[pid] for pid, at in last.items() if at > kills[pid])
    if not seconds:
        return None
    p95 = seconds[min(len(seconds) - 1, int(len(seconds) * 0.95))]
    return {
        "workers": len(seconds),
        "p50": round(statistics.median(seconds), 1),
        "p95": round(p95, 1),
        "max": round(seconds[-1], 1),
    }
