"""The list of tasks, whose cost does not grow with the table.

Within a batch every filter and search is bounded by the batch. Without one, only the newest batches with together
SEARCH_WINDOW tasks are searched, and the page says so. A whole id finds its task in any batch.
"""

from __future__ import annotations

from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet, Sum
from django.http import HttpRequest

from executor import functions
from executor.domain.parameter_types import PRIORITY_NAMES
from executor.domain.states import Priority, TaskStatus
from executor.models import Batch, BatchStats, BatchTask
from executor.reads.task_filter import TaskFilter

from .readonly import IndexedList

SEARCH_WINDOW = 100_000
MAX_BATCHES = 500
NARROWING = ("status", "priority", "function")


def newest_batches() -> tuple[list[UUID], bool]:
    """Return the newest batches that hold SEARCH_WINDOW tasks together, and whether there are older ones."""
    rows = BatchStats.objects.filter(total_tasks__gt=0).order_by("-batch_id")
    newest = list(rows.values_list("batch_id", "total_tasks")[: MAX_BATCHES + 1])
    chosen, tasks = [], 0
    for batch_id, total in newest[:MAX_BATCHES]:
        if tasks >= SEARCH_WINDOW:
            break
        chosen.append(batch_id)
        tasks += total
    return chosen, len(chosen) < len(newest)


def uuid_or_none(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None


class TaskList(IndexedList):
    """Django's change list, narrowed; `narrowed` and `total` are for the page."""

    def get_queryset(self, request: HttpRequest, exclude_parameters=None) -> QuerySet:
        found = super().get_queryset(request, exclude_parameters)
        asked = any(request.GET.get(name) for name in NARROWING) or bool(self.query)
        by_id = getattr(request, "found_by_id", False)
        self.narrowed = False
        if asked and not by_id and not request.GET.get("batch"):
            newest, self.narrowed = newest_batches()
            found = found.filter(batch_id__in=newest)
        self.all_shown = not asked and not request.GET.get("batch")
        return found

    @property
    def total(self) -> int:
        """The number of all tasks, from the counters of the batches."""
        return BatchStats.objects.aggregate(total=Sum("total_tasks"))["total"] or 0


def search(request: HttpRequest, tasks: QuerySet, text: str) -> QuerySet:
    """Search for a whole task id or custom id in every batch, and for any other text as TaskFilter does."""
    text = text.strip()
    if not text:
        return tasks
    if task_id := uuid_or_none(text):
        request.found_by_id = True  # type: ignore[attr-defined]
        return tasks.filter(task_id=task_id)
    if not request.GET.get("batch"):
        # One index lookup per batch: no index covers the custom ids of all batches.
        everywhere = BatchTask.objects.filter(batch_id__in=Batch.objects.values("batch_id"), custom_id=text)
        if ids := list(everywhere.values_list("task_id", flat=True)[:500]):
            request.found_by_id = True  # type: ignore[attr-defined]
            return tasks.filter(task_id__in=ids)
    return TaskFilter(q=text).apply(tasks)


class BatchFilter(admin.SimpleListFilter):
    """The newest batches, and the selected one."""

    title = parameter_name = "batch"
    OFFERED = 15

    def lookups(self, request, model_admin):
        newest = list(Batch.objects.order_by("-created_at", "-batch_id")[: self.OFFERED])
        chosen = uuid_or_none(request.GET.get("batch"))
        if chosen and all(batch.pk != chosen for batch in newest):
            newest += Batch.objects.filter(pk=chosen)
        return [(str(batch.pk), str(batch)) for batch in newest]

    def queryset(self, request, queryset):
        if not self.value():
            return queryset
        chosen = uuid_or_none(self.value())
        return queryset.filter(batch_id=chosen) if chosen else queryset.none()


class WordFilter(admin.SimpleListFilter):
    """One of a fixed set of words."""

    def words(self) -> tuple[str, ...]:
        raise NotImplementedError

    def lookups(self, request, model_admin):
        return [(word, word) for word in self.words()]

    def queryset(self, request, queryset):
        word = self.value()
        if not word:
            return queryset
        return self.chosen(queryset, word) if word in self.words() else queryset.none()

    def chosen(self, tasks: QuerySet, word: str) -> QuerySet:
        return tasks.filter(**{str(self.parameter_name): word})


class StatusFilter(WordFilter):
    title = parameter_name = "status"

    def words(self) -> tuple[str, ...]:
        return tuple(TaskStatus.values)


class PriorityFilter(WordFilter):
    title = parameter_name = "priority"

    def words(self) -> tuple[str, ...]:
        return tuple(PRIORITY_NAMES)

    def chosen(self, tasks, word):
        return tasks.filter(priority=Priority[word.upper()])


class FunctionFilter(WordFilter):
    title = parameter_name = "function"

    def words(self) -> tuple[str, ...]:
        return tuple(functions.names())
