"""Tasks of a batch with their results, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db.models import QuerySet

from executor.domain.states import TaskStatus
from executor.models import BatchTask

from .columns import RESULT_COLUMNS
from .lookups import canonical_word, find_batch
from .presenters import present_task
from .task_filter import TaskFilter
from .tasks import Page, after_cursor


def list_results(
    batch_id: UUID | str,
    statuses: Sequence[str] = (),
    task_ids: Sequence | None = None,
    cursor: str | None = None,
    limit: int = 100,
) -> Page:
    """Return a page of a batch's tasks with their results, by number.

    Raises NotFound, BadRequest.
    """
    row = find_batch(batch_id)
    tasks = BatchTask.objects.filter(batch_id=row.batch_id)
    if task_ids is not None:
        tasks = tasks.filter(task_id__in=task_ids)
    elif len(statuses) > 1:
        return _results_of_several(tasks, statuses, cursor, limit)
    page = after_cursor(TaskFilter(status=statuses).apply(tasks), cursor)
    found = list(page.values(*RESULT_COLUMNS)[: limit + 1])
    more = str(found[limit - 1]["number"]) if len(found) > limit else None
    return Page([present_task(each) for each in found[:limit]], more)


def _results_of_several(tasks: QuerySet, statuses: Sequence[str], cursor: str | None, limit: int) -> Page:
    """Return a page of the tasks in several statuses.

    An index has the order of one status only: a single query would read all tasks, or sort them. Tasks may move while
    the statuses are read one after the other. The statuses are read in the order in which tasks move, so that no task
    is missed, and the cursor follows the numbers that were seen, whether or not their rows still match.
    """
    words = {canonical_word("status", word, TaskStatus.values) for word in statuses}
    each = [
        after_cursor(tasks.filter(status=word), cursor).values_list("number", flat=True)[: limit + 1]
        for word in TaskStatus.values
        if word in words
    ]
    numbers = sorted({number for one in each for number in one})
    page = tasks.filter(status__in=words, number__in=numbers[:limit]).order_by("number")
    more = str(numbers[limit - 1]) if len(numbers) > limit else None
    return Page([present_task(each) for each in page.values(*RESULT_COLUMNS)], more)
