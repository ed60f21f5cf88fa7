"""Deletion of expired records, in small parts, so that the database does not grow without bound."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from executor.db.dialect import database_now
from executor.db.write_lock import write_lock
from executor.models import BatchFrame, BatchStats, IdempotentCall, WorkerNode

WORKERS = timedelta(days=1)  # ended workers are listed for that long
ANSWERS = timedelta(days=7)  # an idempotency key is remembered for that long
PART = 2_000  # rows deleted at once


def prune() -> int:
    """Delete one part of the expired records and return the number of rows; 0 when nothing is left to delete.

    That is: ended workers, answers to idempotency keys, and the frames of batches without a change for
    BATCH_FRAMES_DAYS. A batch without frames is still whole: its event feed begins with a snapshot.
    """
    now = database_now()
    ended = (WorkerNode.State.STOPPED, WorkerNode.State.DEAD)
    old_workers = WorkerNode.objects.filter(state__in=ended, heartbeat_at__lt=now - WORKERS)
    old_answers = IdempotentCall.objects.filter(created_at__lt=now - ANSWERS)
    quiet = BatchStats.objects.filter(changed_at__lt=now - timedelta(days=settings.BATCH_FRAMES_DAYS)).values("pk")
    old_frames = BatchFrame.objects.filter(batch_id__in=quiet)
    return sum(_delete_part(rows) for rows in (old_workers, old_answers, old_frames))


def _delete_part(rows: QuerySet[Any]) -> int:
    part = list(rows.order_by("pk").values_list("pk", flat=True)[:PART])
    if not part:
        return 0
    with write_lock():
        deleted: int = rows.model._default_manager.filter(pk__in=part).delete()[0]
        return deleted
