"""Tasks of a batch, page by page.

A cursor is the last number of a page, so that the thousandth page costs what the first one does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet

from executor.domain.errors import BadRequest
from executor.models import Batch, BatchTask

from .columns import RESULT_COLUMNS
from .lookups import find_batch, find_task
from .presenters import present_task, present_task_detail
from .task_filter import TaskFilter

MAX_COUNTED = 10_000  # matches that are counted for a filtered list
SEARCH_WINDOW = 25_000  # numbers that one page of a search covers
LIST_COLUMNS = tuple(name for name in RESULT_COLUMNS if name != "result")
_NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list.

    `matching` is None where counting would take too long. `searched_to` is the last number of the part that was
    searched, where a list is searched a part at a time.
    """

    items: list[dict]
    next_cursor: str | None
    matching: int | None = None
    searched_to: int | None = None


def list_tasks(
    batch_id: UUID | str,
    filters: TaskFilter | None = None,
    limit: int = 100,
    cursor: str | None = None,
    offset: int = 0,
    newest_first: bool = False,
) -> Page:
    """Return a page of a batch's tasks by number, without their results.

    Where no index serves the filter and the batch is large, only the next SEARCH_WINDOW numbers are searched: the page
    may then have fewer tasks than `limit`, or none, and a cursor all the same. With an offset all of them are searched.

    Raises NotFound, BadRequest.
    """
    row = find_batch(batch_id)
    filters = filters or TaskFilter()
    rows = filters.apply(BatchTask.objects.filter(batch_id=row.batch_id))
    searched = filters.needs_search and row.stats.total_tasks > SEARCH_WINDOW
    matching = _matching(row, filters, rows, may_count=not searched)
    if not (filters or cursor or newest_first) and row.stats.total_tasks == row.stats.last_number:
        cursor, offset = str(offset), 0  # no number is missing: an offset is a cursor
    page = after_cursor(rows, cursor, newest_first)
    if matching == 0:
        return Page([], None, 0)
    if searched and not offset:
        return _search(page, row.stats.last_number, cursor, limit, newest_first, matching)
    if matching is not None and not cursor and offset > matching / 2:
        return _from_the_end(page, matching, offset, limit)
    found = list(page.values(*LIST_COLUMNS)[offset : offset + limit + 1])
    more = str(found[limit - 1]["number"]) if len(found) > limit else None
    return Page([present_task(each) for each in found[:limit]], more, matching)


def _search(
    rows: QuerySet, last: int, cursor: str | None, limit: int, newest_first: bool, matching: int | None
) -> Page:
    """Return the matches among the next SEARCH_WINDOW of a batch's tasks, whose numbers go up to `last`."""
    if newest_first:
        end = max(min(int(cursor or last + 1), last + 1) - SEARCH_WINDOW, 1)
        rows, more = rows.filter(number__gte=end), end > 1
    else:
        end = min(int(cursor or 0) + SEARCH_WINDOW, last)
        rows, more = rows.filter(number__lte=end), end < last
    found = list(rows.values(*LIST_COLUMNS)[: limit + 1])
    if len(found) > limit:
        end, more = found[limit - 1]["number"], True
    return Page([present_task(each) for each in found[:limit]], str(end) if more else None, matching, end)


def _from_the_end(rows: QuerySet, matching: int, offset: int, limit: int) -> Page:
    """Return the same page, reached from the nearer end, because a database reads everything that an offset skips.

    Tasks that come or move between counting and reading shift the page, as they shift any offset a moment later.
    """
    after = max(matching - offset - limit, 0)
    found = list(rows.reverse().values(*LIST_COLUMNS)[after : max(matching - offset, 0)])[::-1]
    more = str(found[-1]["number"]) if found and after else None
    return Page([present_task(each) for each in found], more, matching)


def after_cursor(rows: QuerySet, cursor: str | None, newest_first: bool = False) -> QuerySet:
    """Return the rows behind a cursor, by number.

    Raises BadRequest.
    """
    if cursor:
        if not _NUMBER.fullmatch(str(cursor)):
            raise BadRequest("The cursor is not one that this list returned.", fix="Start again without a cursor.")
        rows = rows.filter(number__lt=int(cursor)) if newest_first else rows.filter(number__gt=int(cursor))
    return rows.order_by("-number" if newest_first else "number")


def _matching(row: Batch, filters: TaskFilter, rows: QuerySet, may_count: bool) -> int | None:
    """Return how many tasks match: from the counters if possible, else counted up to MAX_COUNTED."""
    stats = row.stats
    if not filters:
        return stats.total_tasks
    if not (filters.priority or filters.function or filters.q):
        return sum(getattr(stats, status) for status in {word.lower() for word in filters.status})
    if not may_count:
        return None
    count = rows.order_by()[: MAX_COUNTED + 1].count()
    return count if count <= MAX_COUNTED else None


def get_task(task_id: UUID | str) -> dict:
    """Return one task with its parameters and attempts.

    Raises NotFound.
    """
    return present_task_detail(find_task(task_id))
