"""Whether this process lives, and whether the whole can work. For load balancers and supervisors: open, cheap."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import timedelta

import redis.asyncio
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.db.models.functions import Now
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from executor.models import WorkerNode

log = logging.getLogger(__name__)
SECONDS = 1.0  # what Redis gets to answer


@login_not_required
@never_cache
async def healthz(request: HttpRequest) -> JsonResponse:
    """This process answers."""
    return JsonResponse({"ok": True})


@login_not_required
@never_cache
async def readyz(request: HttpRequest) -> JsonResponse:
    """200 while calls can be accepted, which needs the database alone; `degraded` while nothing would run them."""
    database, workers = await sync_to_async(_database)()
    parts = {"database": database, "redis": await _redis(), "workers": workers}
    if database["ok"]:
        status = "ready" if all(part["ok"] for part in parts.values()) else "degraded"
    else:
        status = "unavailable"
    return JsonResponse({"status": status, **parts}, status=503 if status == "unavailable" else 200)


def _database() -> tuple[dict, dict]:
    """The database's part and the workers', who are known from it: one query for both. With them, how many workers
    contain programs how well."""
    limit = timedelta(seconds=settings.BATCH_HEARTBEAT_LIMIT)
    fresh = WorkerNode.objects.filter(state=WorkerNode.State.ACTIVE, heartbeat_at__gte=Now() - limit)
    try:
        infos = list(fresh.values_list("info", flat=True))
    except DatabaseError as error:
        log.warning("The database does not answer: %s", error)
        return {"ok": False, "detail": "The database does not answer."}, {"ok": False, "detail": "Not known."}
    if not infos:
        return {"ok": True}, {"ok": False, "active": 0, "detail": "No worker is active."}
    levels = Counter(info["sandbox"]["level"] for info in infos if "sandbox" in info)
    return {"ok": True}, {"ok": True, "active": len(infos), "sandbox": levels}


async def _redis() -> dict:
    client = redis.asyncio.Redis.from_url(
        settings.REDIS_URL, socket_timeout=SECONDS, socket_connect_timeout=SECONDS, retry=Retry(NoBackoff(), 0)
    )
    try:
        await client.ping()
    except (redis.RedisError, OSError) as error:
        log.warning("Redis does not answer: %s", error)
        return {"ok": False, "detail": "Redis does not answer; tasks are kept and will run later."}
    finally:
        await client.aclose()
    return {"ok": True}
