"""Forgetting: what nobody asks for any more is deleted in small parts, so that the database does not grow for ever."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings

from executor.models import BatchFrame, BatchStats, IdempotentCall, WorkerNode
from executor.sql import database_now, turn

WORKERS = timedelta(days=1)  # ended workers are listed that long
ANSWERS = timedelta(days=7)  # an idempotency key is remembered that long
PART = 2_000  # rows deleted at once


def forget() -> int:
    """Delete one part of what is too old: workers that ended, answers to idempotency keys, the frames of batches that
    have been quiet for BATCH_FRAMES_DAYS. Returns how many rows went; 0 when nothing is left to forget.

    A batch without frames is still whole: who asks for its events gets a snapshot.
    """
    now = database_now()
    ended = (WorkerNode.State.STOPPED, WorkerNode.State.DEAD)
    old_workers = WorkerNode.objects.filter(state__in=ended, heartbeat_at__lt=now - WORKERS)
    old_answers = IdempotentCall.objects.filter(created_at__lt=now - ANSWERS)
    quiet = BatchStats.objects.filter(changed_at__lt=now - timedelta(days=settings.BATCH_FRAMES_DAYS)).values("pk")
    old_frames = BatchFrame.objects.filter(batch_id__in=quiet)
    gone = 0
    for rows in (old_workers, old_answers, old_frames):
        part = list(rows.order_by("pk").values_list("pk", flat=True)[:PART])
        if part:
            with turn():
                gone += rows.model.objects.filter(pk__in=part).delete()[0]
    return gone
