"""Everything that is read: batches, tasks, results, frames, workers, functions. Nothing here writes.

Lists are cut by keyset: a cursor is the last number seen, so that page one thousand costs what page one does.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson
from django.conf import settings
from django.db.models import Q, QuerySet

from executor import functions as registry
from executor.db.dialect import database_now
from executor.domain.errors import BadRequest, NotFound
from executor.domain.states import FINAL, BatchState, TaskStatus
from executor.domain.text import is_storable
from executor.models import Batch, BatchFrame, BatchStats, BatchTask, WorkerNode

from . import presenters
from .task_filter import TaskFilter, find_batch, known_word, uuid_of

COUNTED = 10_000  # a filtered list says how many match up to this many
LOOKED_AT = 25_000  # numbers that one page of a search looks at
PACE = 60.0  # seconds that the pace of a batch looks back
FRAMES_BYTES = 16 * 1024 * 1024  # of one answer of events
_NUMBER = re.compile(r"[0-9]{1,18}")
_LIST_COLUMNS = [name for name in presenters.RESULT_COLUMNS if name != "result"]


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list. `matching` is None where counting would take too long; `searched_to` is the last number that
    was looked at where the list is searched a part at a time."""

    items: list[dict]
    next_cursor: str | None
    matching: int | None = None
    searched_to: int | None = None


def batches(limit: int = 50, cursor: str | None = None, state: str = "", q: str = "") -> tuple[list[dict], str | None]:
    """Batches, the newest first, and the cursor of the next page.

    Raises BadRequest for a cursor that is not one of ours, or a state that does not exist.
    """
    rows = Batch.objects.select_related("stats").order_by("-created_at", "-batch_id")
    if state:
        words = [word for word in state.split(",") if word]
        rows = rows.filter(state__in=[known_word("state", word, BatchState.values) for word in words])
    if q:
        rows = rows.filter(name__icontains=q) if is_storable(q) else rows.none()
    if cursor:
        created_at, batch_id = _batch_cursor(cursor)
        rows = rows.filter(Q(created_at__lt=created_at) | Q(created_at=created_at, batch_id__lt=batch_id))
    found = list(rows[: limit + 1])
    more = found[limit - 1] if len(found) > limit else None
    now = database_now()
    next_cursor = None
    if more is not None:
        next_cursor = base64.urlsafe_b64encode(f"{more.created_at.isoformat()} {more.batch_id}".encode()).decode()
    return [presenters.batch(row, now) for row in found[:limit]], next_cursor


def _batch_cursor(text: str) -> tuple[datetime, str]:
    try:
        created_at, batch_id = base64.urlsafe_b64decode(text.encode()).decode().split(" ")
        return datetime.fromisoformat(created_at).astimezone(UTC), uuid_of(batch_id, "batch")
    except (ValueError, OverflowError, NotFound):
        raise BadRequest("The cursor is not one that this list gave.", fix="Start again without a cursor.") from None


def changed_batches(since: datetime) -> list[dict]:
    """The batches that changed after a moment, for those who watch the list; at most 200."""
    rows = Batch.objects.select_related("stats").filter(stats__changed_at__gt=since).order_by("-created_at")
    now = database_now()
    return [presenters.batch(row, now) for row in rows[:200]]


def batch(batch_id: str) -> dict:
    """One batch, by its id or name.

    Raises NotFound.
    """
    return told(find_batch(batch_id))


def told(row: Batch) -> dict:
    """A batch that was read already, as callers see it."""
    return presenters.batch(row, database_now())


def metrics(row: Batch) -> dict:
    """Every metric of a batch."""
    return presenters.metrics(row, [each for each in workers() if each["state"] == "active"], database_now())


def tasks(
    batch_id: str,
    filters: TaskFilter | None = None,
    limit: int = 100,
    cursor: str | None = None,
    offset: int = 0,
    newest_first: bool = False,
) -> Page:
    """A page of a batch's tasks by number, without their results.

    Where a filter needs a search and the batch is large, only the next LOOKED_AT numbers are looked at: the page may
    then have fewer tasks than `limit`, or none, and a cursor all the same. With an offset all are looked at, in
    whatever time that takes.

    Raises NotFound, BadRequest.
    """
    row = find_batch(batch_id)
    filters = filters or TaskFilter()
    rows = filters.apply(BatchTask.objects.filter(batch_id=row.batch_id))
    searched = filters.needs_search and row.stats.total_tasks > LOOKED_AT
    matching = _matching(row, filters, rows, may_count=not searched)
    if not (filters or cursor or newest_first) and row.stats.total_tasks == row.stats.last_number:
        cursor, offset = str(offset), 0  # no number is missing: the offset is one
    page = _keyset(rows, cursor, newest_first)
    if matching == 0:
        return Page([], None, 0)
    if searched and not offset:
        return _search(page, row.stats.last_number, cursor, limit, newest_first, matching)
    if matching is not None and not cursor and offset > matching / 2:
        return _from_the_end(page, matching, offset, limit)
    found = list(page.values(*_LIST_COLUMNS)[offset : offset + limit + 1])
    more = str(found[limit - 1]["number"]) if len(found) > limit else None
    return Page([presenters.task(each) for each in found[:limit]], more, matching)


def _search(
    rows: QuerySet, last: int, cursor: str | None, limit: int, newest_first: bool, matching: int | None
) -> Page:
    """The matches among the next LOOKED_AT of a batch's tasks, whose numbers go up to `last`."""
    if newest_first:
        end = max(min(int(cursor or last + 1), last + 1) - LOOKED_AT, 1)
        rows, more = rows.filter(number__gte=end), end > 1
    else:
        end = min(int(cursor or 0) + LOOKED_AT, last)
        rows, more = rows.filter(number__lte=end), end < last
    found = list(rows.values(*_LIST_COLUMNS)[: limit + 1])
    if len(found) > limit:
        end, more = found[limit - 1]["number"], True
    return Page([presenters.task(each) for each in found[:limit]], str(end) if more else None, matching, end)


def _from_the_end(rows: QuerySet, matching: int, offset: int, limit: int) -> Page:
    """The same page, reached from the nearer end: everything that an offset passes over is read. Where tasks come or
    move between the counting and the reading it is as many places off, as any offset is a moment later."""
    after = max(matching - offset - limit, 0)
    found = list(rows.reverse().values(*_LIST_COLUMNS)[after : max(matching - offset, 0)])[::-1]
    more = str(found[-1]["number"]) if found and after else None
    return Page([presenters.task(each) for each in found], more, matching)


def _keyset(rows: QuerySet, cursor: str | None, newest_first: bool = False) -> QuerySet:
    if cursor:
        if not _NUMBER.fullmatch(str(cursor)):
            raise BadRequest("The cursor is not one that this list gave.", fix="Start again without a cursor.")
        rows = rows.filter(number__lt=int(cursor)) if newest_first else rows.filter(number__gt=int(cursor))
    return rows.order_by("-number" if newest_first else "number")


def _matching(row: Batch, filters: TaskFilter, rows: QuerySet, may_count: bool) -> int | None:
    """How many tasks match: from the counters where they know it, else counted up to a bound."""
    stats = row.stats
    if not filters:
        return stats.total_tasks
    if not (filters.priority or filters.function or filters.q):
        return sum(getattr(stats, status) for status in {word.lower() for word in filters.status})
    if not may_count:
        return None
    count = rows.order_by()[: COUNTED + 1].count()
    return count if count <= COUNTED else None


def results(
    batch_id: str,
    statuses: Sequence[str] = (),
    task_ids: Sequence | None = None,
    cursor: str | None = None,
    limit: int = 100,
) -> Page:
    """A page of a batch's tasks with their results, by number.

    Raises NotFound, BadRequest.
    """
    row = find_batch(batch_id)
    tasks = BatchTask.objects.filter(batch_id=row.batch_id)
    if task_ids is not None:
        tasks = tasks.filter(task_id__in=task_ids)
    elif len(statuses) > 1:
        return _results_of_several(tasks, statuses, cursor, limit)
    page = _keyset(TaskFilter(status=statuses).apply(tasks), cursor)
    found = list(page.values(*presenters.RESULT_COLUMNS)[: limit + 1])
    more = str(found[limit - 1]["number"]) if len(found) > limit else None
    return Page([presenters.task(each) for each in found[:limit]], more)


def _results_of_several(tasks: QuerySet, statuses: Sequence[str], cursor: str | None, limit: int) -> Page:
    """Of several statuses. An index knows the order of one: databases would look at all tasks, or sort them.

    Tasks move meanwhile. In the order in which they do, none is passed over; which numbers there are says how it goes
    on, not which rows still match.
    """
    words = {known_word("status", word, TaskStatus.values) for word in statuses}
    each = [
        _keyset(tasks.filter(status=word), cursor).values_list("number", flat=True)[: limit + 1]
        for word in TaskStatus.values
        if word in words
    ]
    numbers = sorted({number for one in each for number in one})
    page = tasks.filter(status__in=words, number__in=numbers[:limit]).order_by("number")
    more = str(numbers[limit - 1]) if len(numbers) > limit else None
    return Page([presenters.task(each) for each in page.values(*presenters.RESULT_COLUMNS)], more)


def task(task_id: str) -> dict:
    """One task with its parameters and attempts.

    Raises NotFound.
    """
    row = BatchTask.objects.filter(task_id=uuid_of(task_id, "task")).first()
    if row is None:
        raise NotFound(f"There is no task {task_id}.", fix="`GET /api/batches/<batch>/tasks` lists those of a batch.")
    return presenters.task_detail(row)


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames after a point, in order. `gone` says that older ones are missing: start again from the rows. Each
    frame's `changes` and `counts` are JSON text."""

    frames: list[tuple[int, datetime, str, str]]
    last_seq: int
    gone: bool = False


def frames(batch_id, after: int, max_bytes: int = FRAMES_BYTES, last: int | None = None) -> Frames:
    """The frames of a batch after `after`, up to a size, and up to frame `last` where somebody knows the batch as it
    was then.

    Raises NotFound.
    """
    if last is None:
        last = BatchStats.objects.filter(batch_id=batch_id).values_list("seq", flat=True).first()
    if last is None:
        raise NotFound(f"There is no batch {batch_id}.", fix="`GET /api/batches` lists what exists.")
    if after >= last:
        return Frames([], last, gone=after > last)
    found, size = [], 0
    rows = BatchFrame.objects.filter(batch_id=batch_id, seq__gt=after, seq__lte=last).order_by("seq")
    for frame in rows.values_list("seq", "at", "changes", "counts").iterator(500):
        if not found and frame[0] != after + 1:
            return Frames([], last, gone=True)
        found.append(frame)
        size += len(frame[2])
        if size > max_bytes:
            break
    return Frames(found, last)


def pace(batch: dict) -> list[list[float]]:
    """How a batch that was read came to where it is: [seconds ago, tasks ended until then] of frames in the last
    minute, the oldest first. The further back, the fewer: frames may be many."""
    seqs = [batch["seq"] - 2**power for power in range(14)]
    rows = BatchFrame.objects.filter(batch_id=batch["batch_id"], seq__in=seqs).order_by("seq")
    now, points = database_now(), []
    for at, counts in rows.values_list("at", "counts"):
        if (age := (now - at).total_seconds()) < PACE:
            points.append([round(age, 3), sum(count for word, count in orjson.loads(counts).items() if word in FINAL)])
    return points


def workers() -> list[dict]:
    """Workers that are alive, and those that ended in the last hour."""
    now = database_now()
    silent = now - timedelta(seconds=settings.BATCH_HEARTBEAT_LIMIT)
    alive = Q(state__in=("active", "draining"), heartbeat_at__gte=silent)
    recent = Q(heartbeat_at__gte=now - timedelta(hours=1))
    rows = WorkerNode.objects.filter(alive | recent).order_by("-heartbeat_at")[:200]
    shown = [presenters.worker(row) for row in rows]
    for each, row in zip(shown, rows, strict=True):
        if row.state in ("active", "draining") and row.heartbeat_at < silent:
            each["state"] = "silent"
    return shown


def functions() -> list[dict]:
    """Every task function with its parameters as JSON Schema."""
    shown = []
    for name in registry.names(patient=True):
        function = registry.lookup(name)
        reason = function.unavailable()
        shown.append(
            {
                "name": name,
                "summary": function.summary,
                "doc": function.doc,
                "parameters": function.parameters.model_json_schema(),
                "example": function.example,
                "built_in": function.built_in,
                "scope": function.scope or None,
                "available": not reason,
                "unavailable_reason": reason or None,
            }
        )
    return shown


__all__ = ["Frames", "Page", "TaskFilter"]
