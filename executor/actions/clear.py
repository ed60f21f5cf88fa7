"""clear: delete final tasks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, cast

from django.db.models import Count
from pydantic import AfterValidator, Field

from executor.db.dialect import database_now
from executor.domain.errors import BadRequest
from executor.domain.parameter_types import BatchName, Statuses, in_utc
from executor.domain.states import FINAL, TaskStatus
from executor.domain.wording import counted
from executor.models import BatchTask
from executor.queue.dispatch import open_batches
from executor.storage.paths import delete_files

from .call import Call, Parameters, Response
from .registry import Button, action

MAX_AGE = 100 * 366 * 86_400  # seconds
CHUNK = 5_000  # tasks deleted in one transaction; other writers run in between


def _moment_or_age(value: str | float | None) -> datetime | float | None:
    if isinstance(value, str):
        text = value
        try:
            value = float(text)
        except ValueError:
            return in_utc(datetime.fromisoformat(text))  # its ValueError names the mistake
    if value is not None and not 0 <= value <= MAX_AGE:
        raise ValueError(f"must be an age of 0 to {MAX_AGE:,} seconds, or a time (ISO 8601)")
    return value


class ClearParameters(Parameters):
    """The final tasks to delete."""

    batch: BatchName
    statuses: Statuses = Field(
        default_factory=lambda: [TaskStatus.COMPLETED.value], description="Which final statuses to delete."
    )
    older_than: Annotated[str | float | None, AfterValidator(_moment_or_age)] = Field(
        None, description="Only tasks that ended before: seconds ago, or a time (ISO 8601)."
    )
    dry_run: bool = Field(False, description="Only report what would be deleted.")


@action(
    "control",
    {"statuses": [TaskStatus.COMPLETED, TaskStatus.CANCELLED], "dry_run": True},
    audited=True,
    atomic=False,
    buttons=(Button("Clear finished tasks…", fields=("statuses", "older_than"), is_destructive=True, preview=True),),
)
def clear(call: Call, parameters: ClearParameters) -> Response:
    """Delete final tasks of a batch, never queued or running ones. `dry_run` reports what would be deleted."""
    batch = call.batch(parameters.batch)
    live = [status for status in parameters.statuses if status not in FINAL]
    if live:
        fix = f"Statuses that can be cleared: {', '.join(FINAL)}. `cancel` tasks first."
        raise BadRequest(f"Tasks that are {' or '.join(live)} cannot be cleared.", fix=fix)
    chosen = BatchTask.objects.filter(batch_id=batch.batch_id, status__in=parameters.statuses or [*FINAL])
    if parameters.older_than is not None:
        chosen = chosen.filter(completed_at__lt=_before(cast(datetime | float, parameters.older_than)))
    would_delete = _by_status(chosen)
    total = _by_status(BatchTask.objects.filter(batch_id=batch.batch_id))
    kept = {status: count - would_delete.get(status, 0) for status, count in total.items()}
    data = {"batch_id": str(batch.batch_id), "would_delete": would_delete, "kept": kept, "dry_run": parameters.dry_run}
    if parameters.dry_run:
        call.audit.update(dry_run=True)
        return Response(True, f"{counted(sum(would_delete.values()), 'task')} would be deleted.", data)
    deleted = 0
    while True:
        part = dict(chosen.order_by("number").values_list("pk", "number")[:CHUNK])
        if not part:
            break
        with open_batches([batch.batch_id]) as queue:
            deleted += queue.clear(batch.batch_id, BatchTask.objects.filter(pk__in=list(part)))
        delete_files(batch.batch_id, part.values())
    data.update(deleted=deleted)
    call.audit.update(deleted=deleted, statuses=list(parameters.statuses))
    return Response(True, f"{counted(deleted, 'task')} {'was' if deleted == 1 else 'were'} deleted.", data)


def _before(older_than: datetime | float) -> datetime:
    return older_than if isinstance(older_than, datetime) else database_now() - timedelta(seconds=older_than)


def _by_status(tasks) -> dict[str, int]:
    return dict(tasks.order_by().values_list("status").annotate(count=Count("pk")))
