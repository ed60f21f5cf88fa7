"""Forgetting: what nobody asks for any more is deleted in small parts, so that the database does not grow for ever."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from datetime import timedelta
from pathlib import Path

from django.conf import settings

from executor.db.dialect import database_now, turn
from executor.models import BatchFrame, BatchStats, IdempotentCall, WorkerNode

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


def forget_files(batch_id: str, numbers: Collection[int]) -> None:
    """Delete the logs and artifacts of these tasks of a batch."""
    wanted = {str(number) for number in numbers}
    for root in (settings.BATCH_LOGS, settings.BATCH_ARTIFACTS):
        folder = Path(root) / batch_id
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name.split("-")[0] not in wanted:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
