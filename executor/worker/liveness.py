"""A worker's row in the database: its name, its heartbeat, and whether its claims still stand."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from executor import sandbox
from executor.db.clock import SYSTEM_CLOCK, Clock
from executor.db.dialect import database_now, set_idle_in_transaction_timeout
from executor.models import WorkerNode

logger = logging.getLogger(__name__)

MIN_IDLE_TRANSACTION = 10.0  # seconds of silence in a transaction that no busy machine explains


def new_name(kind: str = "w") -> str:
    """Return a worker name that was never used before: an earlier process's claims must not count as this one's."""
    return f"{kind}-{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(3)}"


def register(name: str, concurrency: int, queues: str = "") -> None:
    """Insert this worker's row.

    Raises DatabaseError.
    """
    now = database_now()
    WorkerNode.objects.create(
        name=name,
        host=socket.gethostname(),
        pid=os.getpid(),
        concurrency=concurrency,
        queues=queues,
        started_at=now,
        heartbeat_at=now,
    )


def beat(name: str, clock: Clock = SYSTEM_CLOCK, **changes: Any) -> bool:
    """Write one heartbeat; return False when the worker was declared dead and its tasks were rescued."""
    node = WorkerNode.objects.filter(name=name).exclude(state=WorkerNode.State.DEAD)
    return bool(node.update(heartbeat_at=clock.database_now(), **changes))


def is_fresh(heartbeat_at: datetime | None, now: datetime) -> bool:
    """Return whether claims of a worker with this last heartbeat are valid.

    A suspended worker finds out here, before it claims more.
    """
    return heartbeat_at is not None and heartbeat_at >= now - timedelta(seconds=settings.BATCH_HEARTBEAT_LIMIT)


def limit_idle_transactions() -> None:
    """Have this thread's transactions ended when they are idle for as long as a worker may be silent."""
    set_idle_in_transaction_timeout(max(settings.BATCH_HEARTBEAT_LIMIT, MIN_IDLE_TRANSACTION))


def record_sandbox_report(name: str) -> None:
    """Probe the sandbox and record its level in the worker's row. Takes a moment."""
    report = sandbox.report()
    try:
        WorkerNode.objects.filter(name=name).update(info={"sandbox": report})
    except (DatabaseError, InterfaceError) as error:
        logger.warning("the sandbox report is not recorded, the database is unavailable: %s", error)
    connection.close()
