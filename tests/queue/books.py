"""What must be true of every batch after every commit: its counters and its log equal its rows."""

from __future__ import annotations

import orjson
import pytest
from django.db.models import Count, Sum

from executor.models import Batch, BatchFrame, BatchTask
from executor.states import CLEARED, LETTER, STATUS_OF_LETTER, BatchState, Priority, TaskStatus


def assert_books_balance(batch_id) -> None:
    """Recount the rows of a batch and fold its frames, and compare both with its counters."""
    batch = Batch.objects.select_related("stats").get(pk=batch_id)
    _counters_equal_rows(batch)
    _frames_equal_rows(batch)
    _state_fits_counters(batch)


def _counters_equal_rows(batch: Batch) -> None:
    stats, rows = batch.stats, BatchTask.objects.filter(batch=batch)
    counted = dict(rows.values_list("status").annotate(count=Count("pk")))
    by_priority = dict(
        rows.filter(status=TaskStatus.QUEUED).values_list("priority").annotate(count=Count("pk"))
    )  # fmt: skip
    ended = rows.filter(status__in=[TaskStatus.COMPLETED, TaskStatus.FAILED])
    assert {status: getattr(stats, status) for status in TaskStatus.values} == {
        status: counted.get(status, 0) for status in TaskStatus.values
    }
    assert stats.total_tasks == sum(counted.values())
    assert {priority.label: getattr(stats, f"queued_{priority.label}") for priority in Priority} == {
        priority.label: by_priority.get(int(priority), 0) for priority in Priority
    }
    spent = ended.aggregate(sum=Sum("execution_time"))["sum"] or 0.0
    assert stats.total_execution_time == pytest.approx(spent, abs=1e-6)


def _frames_equal_rows(batch: Batch) -> None:
    frames = list(BatchFrame.objects.filter(batch=batch).order_by("seq").values_list("seq", "changes", "counts"))
    assert [seq for seq, _, _ in frames] == list(range(1, batch.stats.seq + 1)), "the log has a hole"
    folded: dict[int, list] = {}
    for _, changes, _ in frames:
        folded.update({change[0]: change for change in orjson.loads(changes)})
    rows = {
        number: (LETTER[status], attempt)
        for number, status, attempt in BatchTask.objects.filter(batch=batch).values_list("number", "status", "attempt")
    }
    assert folded.keys() == set(range(1, batch.stats.last_number + 1)), "a task's add is not in the log"
    shown = {number: (change[1], change[2]) for number, change in folded.items() if change[1] != CLEARED}
    assert shown == rows
    if frames:
        counts = orjson.loads(frames[-1][2])
        assert counts == {status: getattr(batch.stats, status) for status in TaskStatus.values}


def _state_fits_counters(batch: Batch) -> None:
    stats = batch.stats
    live = stats.queued + stats.running
    assert (batch.state == BatchState.FINISHED) <= (not live), "a finished batch has live tasks"
    assert bool(stats.total_tasks and not live) <= (batch.state == BatchState.FINISHED), "all is over, not finished"
    assert bool(stats.end_time) == (batch.state == BatchState.FINISHED)
    assert (batch.state in (BatchState.OPEN, BatchState.STOPPED, BatchState.FINISHED)) <= (not stats.running)


def story_of(task: BatchTask) -> list[str]:
    """The statuses of a task one after the other, as its batch's log tells them."""
    words = {**STATUS_OF_LETTER, CLEARED: "cleared"}
    frames = BatchFrame.objects.filter(batch_id=task.batch_id).order_by("seq").values_list("changes", flat=True)
    return [str(words[change[1]]) for changes in frames for change in orjson.loads(changes) if change[0] == task.number]
