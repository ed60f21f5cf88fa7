"""Lookup of batches and tasks by id, name, custom id or number."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from executor.db.dialect import from_db_id
from executor.db.statements import query
from executor.domain.errors import BadRequest, NotFound
from executor.domain.text import is_storable
from executor.domain.wording import counted
from executor.models import Batch, BatchTask

IDS_PER_QUERY = 1000  # SQLite binds at most 32,766 values to a statement


def canonical_word(what: str, word: str, known: Sequence[str]) -> str:
    """Return a word of a filter in its canonical spelling.

    Raises BadRequest.
    """
    if word.lower() not in known:
        raise BadRequest(f"There is no {what} {word!r}.", fix=f"Use one of: {', '.join(known)}.")
    return word.lower()


def uuid_of(text: UUID | str, what: str) -> UUID:
    """Return an id as a UUID.

    Raises NotFound for a malformed one: nothing has that id.
    """
    try:
        return text if isinstance(text, UUID) else UUID(text)
    except (ValueError, AttributeError, TypeError):
        raise NotFound(f"There is no {what} {text!r}.", fix=f"A {what} id looks like {UUID(int=0)}.") from None


def find_batch(batch: UUID | str) -> Batch:
    """Return the batch of this id, or the newest one of this name, with its counters.

    Raises NotFound.
    """
    # In one statement: two could see the batch before a commit and its counters after it.
    batches = Batch.objects.select_related("stats")
    try:
        found = batches.filter(batch_id=batch if isinstance(batch, UUID) else UUID(batch)).first()
    except ValueError:
        named = batches.filter(name=batch) if is_storable(str(batch)) else Batch.objects.none()
        found = named.order_by("-created_at", "-batch_id").first()
    if found is None:
        raise NotFound(f"There is no batch {str(batch)!r}.", fix="`GET /api/batches` lists the existing ones.")
    return found


def find_task(task_id: UUID | str, *columns: str) -> BatchTask:
    """Return the task of this id, whole or with these columns only.

    Raises NotFound.
    """
    found = BatchTask.objects.only(*columns).filter(task_id=uuid_of(task_id, "task")).first()
    if found is None:
        raise NotFound(f"There is no task {task_id}.", fix="`GET /api/batches/<batch>/tasks` lists those of a batch.")
    return found


def default_batch(owner: str) -> tuple[UUID, str] | None:
    """Return id and name of an owner's default batch.

    Every `add` without a batch needs them; the ORM would take ten times as long to build the whole object.
    """
    found = query("SELECT batch_id, name FROM executor_batch WHERE owner = %s AND is_default", [owner])
    return (from_db_id(found[0][0]), found[0][1]) if found else None


def tasks_by_ids(task_ids: Sequence[str]) -> dict[UUID, list[UUID]]:
    """Return the tasks of these ids by batch.

    Raises NotFound, naming every id that does not exist.
    """
    wanted = [uuid_of(text, "task") for text in task_ids]
    found: dict[UUID, list[UUID]] = {}
    missing = set(wanted)
    for start in range(0, len(wanted), IDS_PER_QUERY):
        rows = BatchTask.objects.filter(task_id__in=wanted[start : start + IDS_PER_QUERY])
        for task_id, batch_id in rows.values_list("task_id", "batch_id"):
            found.setdefault(batch_id, []).append(task_id)
            missing.discard(task_id)
    if missing:
        errors = [{"field": "task_ids", "value": str(task_id), "reason": "no such task"} for task_id in missing]
        fix = "Leave them out; they may have been cleared."
        raise NotFound(f"{len(missing)} of {len(set(wanted))} tasks do not exist.", fix=fix, errors=errors)
    return found


def tasks_by_custom_ids(batch: Batch, custom_ids: Sequence[str]) -> list[UUID]:
    """Return the tasks of these custom ids in a batch.

    Raises NotFound, naming every one that does not exist.
    """
    rows: dict[str, UUID] = {}
    for start in range(0, len(custom_ids), IDS_PER_QUERY):
        chunk = [word for word in custom_ids[start : start + IDS_PER_QUERY] if is_storable(word)]
        found = BatchTask.objects.filter(batch=batch, custom_id__in=chunk).values_list("custom_id", "task_id")
        rows.update((custom_id, task_id) for custom_id, task_id in found if custom_id is not None)
    missing = [word for word in custom_ids if word not in rows]
    if missing:
        errors = [{"field": "custom_ids", "value": word, "reason": "no such task in the batch"} for word in missing]
        message = (
            f"{counted(len(missing), 'custom id')} {'does' if len(missing) == 1 else 'do'} not exist in the batch."
        )
        raise NotFound(message, fix="Leave them out, or name another batch.", errors=errors)
    return list(rows.values())


def tasks_by_numbers(batch: Batch, numbers: Sequence[int]) -> list[UUID]:
    """Return the tasks of these numbers in a batch.

    Raises NotFound, naming every number that does not exist.
    """
    rows: dict[int, UUID] = {}
    for start in range(0, len(numbers), IDS_PER_QUERY):
        chunk = numbers[start : start + IDS_PER_QUERY]
        rows.update(BatchTask.objects.filter(batch=batch, number__in=chunk).values_list("number", "task_id"))
    missing = [number for number in numbers if number not in rows]
    if missing:
        errors = [{"field": "numbers", "value": number, "reason": "no such task in the batch"} for number in missing]
        message = (
            f"{counted(len(missing), 'task number')} {'does' if len(missing) == 1 else 'do'} not exist in the batch."
        )
        raise NotFound(message, fix="Leave them out; they may have been cleared.", errors=errors)
    return list(rows.values())
