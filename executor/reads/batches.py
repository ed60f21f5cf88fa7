"""Batches as every adapter shows them."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from uuid import UUID

import orjson
from django.db.models import Q

from executor.db.dialect import database_now
from executor.domain.errors import BadRequest, NotFound
from executor.domain.states import FINAL, BatchState
from executor.domain.text import is_storable
from executor.models import Batch, BatchFrame, WorkerNode

from .lookups import canonical_word, find_batch, uuid_of
from .presenters import present_batch, present_metrics
from .workers import list_workers

MAX_CHANGED = 200  # batches that one look at the changes returns
PROGRESS_SECONDS = 60.0


def list_batches(
    limit: int = 50, cursor: str | None = None, state: str = "", q: str = ""
) -> tuple[list[dict], str | None]:
    """Return batches, the newest first, and the cursor of the next page.

    Raises BadRequest for a foreign cursor, or a state that does not exist.
    """
    rows = Batch.objects.select_related("stats").order_by("-created_at", "-batch_id")
    if state:
        words = [word for word in state.split(",") if word]
        rows = rows.filter(state__in=[canonical_word("state", word, BatchState.values) for word in words])
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
    return [present_batch(row, now) for row in found[:limit]], next_cursor


def _batch_cursor(text: str) -> tuple[datetime, UUID]:
    try:
        created_at, batch_id = base64.urlsafe_b64decode(text.encode()).decode().split(" ")
        return datetime.fromisoformat(created_at).astimezone(UTC), uuid_of(batch_id, "batch")
    except (ValueError, OverflowError, NotFound):
        raise BadRequest(
            "The cursor is not one that this list returned.", fix="Start again without a cursor."
        ) from None


def changed_batches(since: datetime) -> list[dict]:
    """Return the batches that changed after a moment, the newest first, at most MAX_CHANGED."""
    rows = Batch.objects.select_related("stats").filter(stats__changed_at__gt=since).order_by("-created_at")
    now = database_now()
    return [present_batch(row, now) for row in rows[:MAX_CHANGED]]


def get_batch(batch: UUID | str) -> dict:
    """Return one batch, by its id or name.

    Raises NotFound.
    """
    return batch_of(find_batch(batch))


def batch_of(row: Batch) -> dict:
    """Return a batch that has been read already."""
    return present_batch(row, database_now())


def batch_metrics(row: Batch) -> dict:
    """Return every metric of a batch."""
    active = [worker for worker in list_workers() if worker["state"] == WorkerNode.State.ACTIVE]
    return present_metrics(row, active, database_now())


def recent_progress(batch: dict) -> list[list[float]]:
    """Return how a batch came to where it is: [seconds ago, tasks ended by then], the oldest first.

    The points are frames of the last PROGRESS_SECONDS at distances of powers of two: a batch may have many frames.
    """
    seqs = [batch["seq"] - 2**power for power in range(14)]
    rows = BatchFrame.objects.filter(batch_id=batch["batch_id"], seq__in=seqs).order_by("seq")
    now, points = database_now(), []
    for at, counts in rows.values_list("at", "counts"):
        if (age := (now - at).total_seconds()) < PROGRESS_SECONDS:
            points.append([round(age, 3), sum(count for word, count in orjson.loads(counts).items() if word in FINAL)])
    return points
