"""The auditor: checks the invariants of a batch by counting its rows and folding its frames.

Tests audit every batch, and `manage.py chaos` audits all batches after its faults.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

import orjson
from django.db.models import Count, F, Sum

from executor.domain.states import CLEARED, LETTER, MOVES, BatchState, Priority, TaskStatus
from executor.models import Batch, BatchFrame, BatchTask, TaskAttempt

# By their numbers in docs/architecture.md.
INVARIANTS = {
    1: "an accepted task ends in exactly one final status",
    2: "at most one outcome for an attempt",
    3: "never more than max_concurrent tasks run",
    4: "no task is claimed while one of higher priority could go",
    5: "the counters equal the rows",
    6: "the log has no hole and folds to the rows",
    7: "what kills its worker or its process every time ends failed",
    8: "after a stop nothing starts until the start",
    9: "no fault loses a task or finishes one twice",
    10: "a call that was answered with an error has written nothing",
}

_RUNNING, _QUEUED = LETTER[TaskStatus.RUNNING], LETTER[TaskStatus.QUEUED]
_STEPS: dict[str | None, set[str]] = defaultdict(set, {None: {_QUEUED}})
for _from, _to in ((move.sources, move.targets) for move in MOVES.values()):
    for _status in _from:
        _STEPS[LETTER[_status]].update(LETTER[status] for status in _to)
for _status in (TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED):
    _STEPS[LETTER[_status]].add(CLEARED)


@dataclass
class Orders:
    """Orders given to a running batch, each with the batch's last frame at that time.

    With them the audit covers invariants that do not follow from the rows alone.
    """

    limits: list[tuple[int, int]] = field(default_factory=list)  # frame, max_concurrent after it
    halts: list[tuple[int, bool]] = field(default_factory=list)  # frame, whether stopped after it


@dataclass
class Findings:
    """The result of an audit: breaches as (number of the invariant, description), and counts of what was checked."""

    breaches: list[tuple[int, str]] = field(default_factory=list)
    tasks: int = 0
    frames: int = 0
    moves: int = 0
    claims: int = 0

    def expect(self, number: int, holds: object, description: str) -> None:
        if not holds:
            self.breaches.append((number, description))

    def equal(self, number: int, name: str, stored: object, counted: object) -> None:
        self.expect(number, stored == counted, f"{name}: {stored!r} is stored, {counted!r} is counted")


def audit(batch_id: UUID | str, orders: Orders | None = None) -> Findings:
    """Check a batch that does not change during the audit."""
    batch = Batch.objects.select_related("stats").get(pk=batch_id)
    findings = Findings()
    _check_counters(batch, findings)
    _check_state(batch, findings)
    _check_rows(batch, findings)
    _check_attempts(batch, findings)
    _check_frames(batch, orders, findings)
    return findings


def _check_counters(batch: Batch, findings: Findings) -> None:
    stats, rows = batch.stats, BatchTask.objects.filter(batch=batch)
    counted = dict(rows.values_list("status").annotate(count=Count("pk")))
    queued = rows.filter(status=TaskStatus.QUEUED)
    waiting = dict(queued.values_list("priority").annotate(count=Count("pk")))
    findings.tasks = sum(counted.values())
    findings.equal(5, "tasks", stats.total_tasks, findings.tasks)
    for status in TaskStatus.values:
        findings.equal(5, status, getattr(stats, status), counted.get(status, 0))
    for priority in Priority:
        kept = getattr(stats, f"queued_{priority.label}")
        findings.equal(5, f"queued {priority.label}", kept, waiting.get(int(priority), 0))
    ended = rows.filter(status__in=[TaskStatus.COMPLETED, TaskStatus.FAILED])
    spent = ended.aggregate(sum=Sum("execution_time"))["sum"] or 0.0
    near = abs(stats.total_execution_time - spent) <= 1e-6 * max(1.0, abs(spent), findings.tasks)
    findings.expect(5, near, f"execution time: {stats.total_execution_time} s are stored, {spent} s are counted")


def _check_state(batch: Batch, findings: Findings) -> None:
    stats, finished = batch.stats, batch.state == BatchState.FINISHED
    live = stats.queued + stats.running
    findings.expect(5, not (finished and live), "a finished batch has live tasks")
    findings.expect(
        5, finished or live or not stats.total_tasks, f"all tasks are final, and the batch is {batch.state}"
    )
    findings.expect(5, finished == bool(stats.end_time), f"the batch is {batch.state} and ended {stats.end_time}")
    quiet = batch.state in (BatchState.OPEN, BatchState.STOPPED, BatchState.FINISHED)
    findings.expect(8, not (quiet and stats.running), f"{stats.running} tasks run in a batch that is {batch.state}")


def _check_rows(batch: Batch, findings: Findings) -> None:
    rows = BatchTask.objects.filter(batch=batch)
    final = [TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED]
    odd = {
        "final, without the time of their end": rows.filter(status__in=final, completed_at=None),
        "running, without a worker": rows.filter(status=TaskStatus.RUNNING, worker=""),
        "queued, with a worker": rows.filter(status=TaskStatus.QUEUED).exclude(worker=""),
        "dispatched, and not queued": rows.filter(dispatched_at__isnull=False).exclude(status=TaskStatus.QUEUED),
    }
    for fault, found in odd.items():
        count = found.count()
        findings.expect(1, not count, f"{count} tasks are {fault}")
    late = rows.filter(status=TaskStatus.COMPLETED, cancel_requested_at__isnull=False).count()
    findings.expect(1, not late, f"{late} tasks were cancelled and then completed")
    retried = rows.filter(retry_count__gt=F("max_retries")).count()
    findings.expect(7, not retried, f"{retried} tasks were retried more often than they may")


def _check_attempts(batch: Batch, findings: Findings) -> None:
    """Check that each claim but a completed and a running one has exactly one record."""
    kept: dict = defaultdict(list)
    records = TaskAttempt.objects.filter(task__batch=batch).order_by("number")
    for task_id, number in records.values_list("task_id", "number"):
        kept[task_id].append(number)
    rows = BatchTask.objects.filter(batch=batch)
    for task_id, number, status, attempt in rows.values_list("task_id", "number", "status", "attempt"):
        ended = attempt - (status in (TaskStatus.COMPLETED, TaskStatus.RUNNING))
        if status == TaskStatus.CANCELLED:  # cancelled while it was queued or while it ran
            holds = kept[task_id] == list(range(1, attempt + 1))
        else:
            holds = kept[task_id] == list(range(1, ended + 1))
        description = f"task {number} is {status} after {attempt} attempts, with the records {kept[task_id]}"
        findings.expect(2, holds, description)


# --- the frames ------------------------------------------------------------------------------------------


def _check_frames(batch: Batch, orders: Orders | None, findings: Findings) -> None:
    fields = ("number", "status", "attempt", "priority", "retry_delay")
    rows, priorities, waits = {}, {}, set()
    for number, status, attempt, priority, delay in BatchTask.objects.filter(batch=batch).values_list(*fields):
        rows[number], priorities[number] = (LETTER[status], attempt), priority
        if delay:
            waits.add(number)
    fold = _Fold(findings, orders, priorities, waits)
    last = None
    for seq, changes, counts in _frames(batch):
        fold.frame(seq, changes)
        last = counts
    findings.equal(6, "frames", batch.stats.seq, fold.seq)
    findings.equal(6, "tasks in the frames", batch.stats.last_number, len(fold.known))
    for number in fold.now.keys() | rows.keys():
        folded, row = fold.now.get(number), rows.get(number)
        findings.expect(6, folded == row, f"task {number} is {row} in its row and {folded} in the frames")
    if last is not None:
        counted = {name: getattr(batch.stats, name) for name in TaskStatus.values}
        findings.equal(6, "the counts of the last frame", orjson.loads(last), counted)


def _frames(batch: Batch) -> Iterator[tuple[int, list, str]]:
    frames = BatchFrame.objects.filter(batch=batch).order_by("seq").values_list("seq", "changes", "counts")
    for seq, changes, counts in frames.iterator(chunk_size=500):
        yield seq, orjson.loads(changes), counts


class _Fold:
    """The tasks by their frames, one frame after the other."""

    def __init__(self, findings: Findings, orders: Orders | None, priorities: dict[int, int], waits: set[int]):
        self.seq = 0
        self.now: dict[int, tuple[str, int]] = {}  # number → letter, attempt
        self.known: set[int] = set()
        self._findings, self._orders, self._priorities = findings, orders, priorities
        self._waits = waits  # numbers of tasks with a retry delay: frames round it to 0
        self._claims: Counter = Counter()
        self._running = 0
        self._ready: Counter = Counter()  # priority → queued tasks that wait for nothing but a slot
        self._is_ready: set[int] = set()

    def frame(self, seq: int, changes: list) -> None:
        self._findings.frames += 1
        self._findings.expect(6, seq == self.seq + 1, f"frame {seq} comes after frame {self.seq}")
        self.seq = seq
        claimed = [change[0] for change in changes if self._move(*change)]
        if claimed:
            self._findings.claims += len(claimed)
            self._check_claims(claimed)

    def _move(self, number, letter, attempt, worker, started, duration, retry_in, error, progress=None) -> bool:
        """Apply a change; return whether it is a claim."""
        before, held = self.now.get(number, (None, 0))
        if progress is not None and letter == before == _RUNNING:
            return False  # a progress report
        self._findings.moves += 1
        where = f"task {number}, frame {self.seq}"
        self._findings.expect(2, letter in _STEPS[before], f"{where}: from {before} to {letter}")
        claim = letter == _RUNNING
        if claim:
            self._claims[number] += 1
            held = self._claims[number]
        self._findings.expect(2, attempt == held, f"{where}: {letter} of attempt {attempt}, and it is at {held}")
        self._running += claim - (before == _RUNNING)
        if number in self._is_ready:
            self._is_ready.discard(number)
            self._ready[self._priorities.get(number, 0)] -= 1
        if letter == _QUEUED and (retry_in is None or (not retry_in and number not in self._waits)):
            self._is_ready.add(number)
            self._ready[self._priorities.get(number, 0)] += 1
        self.known.add(number)
        self.now[number] = (letter, attempt)
        if letter == CLEARED:
            del self.now[number]
        return claim

    def _check_claims(self, claimed: list[int]) -> None:
        if self._orders is None:
            return
        limit = _in_force(self._orders.limits, self.seq)
        description = f"frame {self.seq}: {self._running} tasks run, {limit} are allowed"
        self._findings.expect(3, limit is None or self._running <= limit, description)
        halted = _in_force(self._orders.halts, self.seq)
        self._findings.expect(8, not halted, f"frame {self.seq}: a task is claimed in a stopped batch")
        lowest = min(self._priorities.get(number, 0) for number in claimed)
        better = [priority for priority, count in self._ready.items() if count and priority > lowest]
        description = f"frame {self.seq}: a task of priority {lowest} is claimed while those of {better} wait"
        self._findings.expect(4, not better, description)


def _in_force(orders: list[tuple[int, int]] | list[tuple[int, bool]], seq: int):
    """Return the value of the last order before this frame."""
    values = [value for frame, value in orders if frame < seq]
    return values[-1] if values else None
