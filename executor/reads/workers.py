"""Worker processes."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import Q

from executor.db.dialect import database_now
from executor.models import WorkerNode

from .presenters import present_worker

MAX_LISTED = 200
SILENT = "silent"  # shown for a worker without a recent heartbeat, until it is marked dead
_RUNNING = (WorkerNode.State.ACTIVE, WorkerNode.State.DRAINING)


def list_workers() -> list[dict]:
    """Return the live workers, and those that ended within the last hour."""
    now = database_now()
    silent = now - timedelta(seconds=settings.BATCH_HEARTBEAT_LIMIT)
    alive = Q(state__in=_RUNNING, heartbeat_at__gte=silent)
    recent = Q(heartbeat_at__gte=now - timedelta(hours=1))
    rows = WorkerNode.objects.filter(alive | recent).order_by("-heartbeat_at")[:MAX_LISTED]
    workers = [present_worker(row) for row in rows]
    for worker, row in zip(workers, rows, strict=True):
        if row.state in _RUNNING and row.heartbeat_at < silent:
            worker["state"] = SILENT
    return workers
