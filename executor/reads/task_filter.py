"""Which tasks a caller means: ids, or a batch and a filter. One grammar for the page, the API and the actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q, QuerySet

from executor.db.dialect import hex_of
from executor.db.statements import query
from executor.domain.errors import BadRequest, NotFound
from executor.domain.states import Priority, TaskStatus
from executor.domain.text import is_storable
from executor.domain.wording import counted
from executor.models import Batch, BatchTask


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """What must be true of a task; empty parts ask nothing. `q` is searched in name, custom id, function and error."""

    status: Sequence[str] = ()
    priority: Sequence[str] = ()
    function: str = ""
    q: str = ""

    def __bool__(self) -> bool:
        return bool(self.status or self.priority or self.function or self.q)

    @property
    def needs_search(self) -> bool:
        """Whether tasks have to be looked at one by one: each index knows one status, one function, or one priority
        but that which most tasks have."""
        words = [*self.status, *self.priority, *filter(None, [self.function])]
        return bool(self.q) or len(words) > 1 or Priority.MEDIUM.label in map(str.lower, self.priority)

    def apply(self, tasks: QuerySet) -> QuerySet:
        """The tasks of a queryset that match.

        Raises BadRequest for a status or priority that does not exist.
        """
        if self.status:
            tasks = tasks.filter(status__in=[known_word("status", word, TaskStatus.values) for word in self.status])
        if self.priority:
            labels = [known_word("priority", word, Priority.labels) for word in self.priority]
            asked = {Priority[label.upper()] for label in labels}
            tasks = tasks.filter(priority__in=asked)
            if Priority.MEDIUM not in asked:
                tasks = tasks.exclude(
                    priority=Priority.MEDIUM
                )  # said in so many words, the index of the others is used
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


def known_word(what: str, word: str, known: Sequence[str]) -> str:
    """The word of a filter as we spell it. Raises BadRequest."""
    if word.lower() not in known:
        raise BadRequest(f"There is no {what} {word!r}.", fix=f"Use one of: {', '.join(known)}.")
    return word.lower()


def uuid_of(text: str, what: str) -> UUID:
    """An id as a caller wrote it.

    Raises NotFound: nothing can have an id that is none.
    """
    try:
        return text if isinstance(text, UUID) else UUID(text)
    except (ValueError, AttributeError, TypeError):
        raise NotFound(f"There is no {what} {text!r}.", fix=f"A {what} id looks like {UUID(int=0)}.") from None


def find_batch(batch: str) -> Batch:
    """The batch of that id, or the newest one of that name.

    Raises NotFound.
    """
    # With its counters, in one statement: read one after the other they could come from before and after a commit.
    batches = Batch.objects.select_related("stats")
    try:
        found = batches.filter(batch_id=UUID(str(batch))).first()
    except ValueError:
        named = batches.filter(name=batch) if is_storable(batch) else Batch.objects.none()
        found = named.order_by("-created_at", "-batch_id").first()
    if found is None:
        raise NotFound(f"There is no batch {batch!r}.", fix="`GET /api/batches` lists what exists.")
    return found


def default_batch(owner: str) -> tuple[UUID, str] | None:
    """Id and name of the batch of a caller who names none. Every `add` asks for it: to make an object of the whole row
    takes ten times as long."""
    found = query("SELECT batch_id, name FROM executor_batch WHERE owner = %s AND is_default", [owner])
    return (UUID(hex_of(found[0][0])), found[0][1]) if found else None


def find_tasks(task_ids: Sequence[str]) -> dict[UUID, list[UUID]]:
    """Batch → tasks of these ids.

    Raises NotFound, naming every id that does not exist.
    """
    wanted = [uuid_of(text, "task") for text in task_ids]
    found: dict[UUID, list[UUID]] = {}
    missing = set(wanted)
    for start in range(0, len(wanted), 1000):
        rows = BatchTask.objects.filter(task_id__in=wanted[start : start + 1000])
        for task_id, batch_id in rows.values_list("task_id", "batch_id"):
            found.setdefault(batch_id, []).append(task_id)
            missing.discard(task_id)
    if missing:
        errors = [{"field": "task_ids", "value": str(task_id), "reason": "no such task"} for task_id in missing]
        fix = "Leave them out; they may have been cleared."
        raise NotFound(f"{len(missing)} of {len(set(wanted))} tasks do not exist.", fix=fix, errors=errors)
    return found


def find_custom_ids(batch: Batch, custom_ids: Sequence[str]) -> list[UUID]:
    """The tasks of these custom ids in a batch.

    Raises NotFound, naming every one that does not exist.
    """
    rows: dict[str, UUID] = {}
    for start in range(0, len(custom_ids), 1000):
        chunk = [word for word in custom_ids[start : start + 1000] if is_storable(word)]
        rows.update(BatchTask.objects.filter(batch=batch, custom_id__in=chunk).values_list("custom_id", "task_id"))
    missing = [word for word in custom_ids if word not in rows]
    if missing:
        errors = [{"field": "custom_ids", "value": word, "reason": "no such task in the batch"} for word in missing]
        told = f"{counted(len(missing), 'custom id')} {'does' if len(missing) == 1 else 'do'} not exist in the batch."
        raise NotFound(told, fix="Leave them out, or name another batch.", errors=errors)
    return list(rows.values())
