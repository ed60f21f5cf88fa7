"""Liveness and readiness for load balancers and supervisors: no login, few queries."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import timedelta

import redis
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.db.models.functions import Now
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from redis.backoff import NoBackoff
from redis.retry import Retry

from executor.models import WorkerNode

logger = logging.getLogger(__name__)
REDIS_TIMEOUT = 1.0  # seconds


@login_not_required
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """Return 200 while this process answers."""
    return JsonResponse({"ok": True})


@login_not_required
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Return 200 while calls can be accepted, which needs the database alone; `degraded` while no task can run."""
    database, workers = _database_and_workers()
    parts = {"database": database, "redis": _redis(), "workers": workers}
    if database["ok"]:
        status = "ready" if all(part["ok"] for part in parts.values()) else "degraded"
    else:
        status = "unavailable"
    return JsonResponse({"status": status, **parts}, status=503 if status == "unavailable" else 200)


def _database_and_workers() -> tuple[dict, dict]:
    """Return the parts `database` and `workers`, from one query; active workers are counted by sandbox level."""
    limit = timedelta(seconds=settings.BATCH_HEARTBEAT_LIMIT)
    active = WorkerNode.objects.filter(state=WorkerNode.State.ACTIVE, heartbeat_at__gte=Now() - limit)
    try:
        infos = list(active.values_list("info", flat=True))
    except DatabaseError as error:
        logger.warning("The database is unavailable: %s", error)
        return {"ok": False, "detail": "The database is unavailable."}, {"ok": False, "detail": "Unknown."}
    if not infos:
        return {"ok": True}, {"ok": False, "active": 0, "detail": "No worker is active."}
    levels = Counter(info["sandbox"]["level"] for info in infos if "sandbox" in info)
    return {"ok": True}, {"ok": True, "active": len(infos), "sandbox": levels}


def _redis() -> dict:
    # A separate client: the shared one waits longer and retries.
    client = redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=REDIS_TIMEOUT,
        socket_connect_timeout=REDIS_TIMEOUT,
        retry=Retry(NoBackoff(), 0),
    )
    with client:
        try:
            client.ping()
        except redis.RedisError as error:
            logger.warning("Redis is unavailable: %s", error)
            return {"ok": False, "detail": "Redis is unavailable; tasks are kept and will run later."}
    return {"ok": True}
