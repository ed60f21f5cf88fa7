"""Connections of the processes to Redis: short timeouts and one quick retry.

redis-py's own ten silent retries would turn a server that hangs into minutes of silence.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import redis
import redis.asyncio
from django.conf import settings
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

TIMEOUT = 1.0  # seconds to wait for the answer to a command
CONNECT_TIMEOUT = 2.0  # seconds


def _backoff() -> ExponentialBackoff:
    return ExponentialBackoff(cap=0.5, base=0.05)


@cache
def redis_client() -> redis.Redis:
    """Return this process's client, a pool of connections for all threads."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        retry=Retry(_backoff(), 1),
        socket_timeout=TIMEOUT,
        socket_connect_timeout=CONNECT_TIMEOUT,
        health_check_interval=15,
    )


def new_async_client(timeout: float) -> redis.asyncio.Redis:
    """Return a client for the running event loop whose commands may take `timeout` seconds. Its owner closes it."""
    options: dict[str, Any] = {
        "retry": AsyncRetry(_backoff(), 1),
        "socket_timeout": timeout,
        "socket_connect_timeout": CONNECT_TIMEOUT,
    }
    return redis.asyncio.Redis.from_url(settings.REDIS_URL, **options)
