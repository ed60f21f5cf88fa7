"""The filter of tasks: one grammar for the page, the API and the actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from executor.domain.states import Priority, TaskStatus
from executor.domain.text import is_storable

from .lookups import canonical_word


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """A condition on tasks; empty parts match every task. `q` is searched in name, custom id, function and error."""

    status: Sequence[str] = ()
    priority: Sequence[str] = ()
    function: str = ""
    q: str = ""

    def __bool__(self) -> bool:
        return bool(self.status or self.priority or self.function or self.q)

    @property
    def needs_search(self) -> bool:
        """Whether no index serves the filter.

        An index serves one status, one function, or one priority other than medium, which most tasks have.
        """
        words = [*self.status, *self.priority, *filter(None, [self.function])]
        return bool(self.q) or len(words) > 1 or Priority.MEDIUM.label in map(str.lower, self.priority)

    def apply(self, tasks: QuerySet) -> QuerySet:
        """Return the tasks of a queryset that match.

        Raises BadRequest for a status or priority that does not exist.
        """
        if self.status:
            tasks = tasks.filter(status__in=[canonical_word("status", word, TaskStatus.values) for word in self.status])
        if self.priority:
            labels = [canonical_word("priority", word, Priority.labels) for word in self.priority]
            asked = {Priority[label.upper()] for label in labels}
            tasks = tasks.filter(priority__in=asked)
            if Priority.MEDIUM not in asked:
                # Redundant, but only with it the planner uses the partial index over the other priorities.
                tasks = tasks.exclude(priority=Priority.MEDIUM)
        if not (is_storable(self.function) and is_storable(self.q)):
            return tasks.none()
        if self.function:
            tasks = tasks.filter(function=self.function)
        if self.q:
            text = self.q.strip()
            match = Q(name__icontains=text) | Q(custom_id__icontains=text) | Q(error__icontains=text)
            match |= Q(function__icontains=text)
            if text.lstrip("#").isdecimal():
                match |= Q(number=int(text.lstrip("#")[:9]))
            tasks = tasks.filter(match)
        return tasks
