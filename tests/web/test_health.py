"""/healthz and /readyz."""

import os
import signal
from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.utils import timezone

from executor.models import WorkerNode
from executor.web import health


def add_worker(age: float = 0, state: str = "active", **more):
    now = timezone.now()
    WorkerNode.objects.create(
        name=f"w{WorkerNode.objects.count()}",
        host="here",
        pid=1,
        concurrency=1,
        state=state,
        started_at=now,
        heartbeat_at=now - timedelta(seconds=age),
        **more,
    )


def test_healthz_needs_no_login_and_no_database(client, django_db_blocker):
    # pytest-django blocks the database in tests that do not request it.
    response = client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"ok": True})
    assert "no-store" in response["Cache-Control"]


def test_readyz_is_ready_when_all_parts_work(client, transactional_db):
    add_worker(info={"sandbox": {"level": "isolated", "layers": [], "missing": []}})
    add_worker()  # without a sandbox report so far
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "status": "ready",
        "database": {"ok": True},
        "redis": {"ok": True},
        "workers": {"ok": True, "active": 2, "sandbox": {"isolated": 1}},
    }


@pytest.mark.parametrize(("age", "state"), [(None, ""), (60, "active"), (0, "draining"), (0, "dead"), (0, "stopped")])
def test_readyz_is_degraded_without_an_active_worker(client, transactional_db, age, state):
    if state:
        add_worker(age, state)
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json()["status"] == "degraded"
    assert response.json()["workers"] == {"ok": False, "active": 0, "detail": "No worker is active."}


def test_readyz_is_degraded_without_redis(client, transactional_db, surroundings):
    add_worker()
    surroundings.stop_valkey()
    response = client.get("/readyz")
    assert response.status_code == 200
    parts = response.json()
    assert parts["status"] == "degraded" and not parts["redis"]["ok"] and parts["workers"]["ok"]


def test_readyz_does_not_wait_for_a_hanging_redis(client, transactional_db, surroundings):
    os.kill(surroundings.valkey_process.pid, signal.SIGSTOP)
    try:
        parts = client.get("/readyz").json()  # would hang as long as Redis does
    finally:
        os.kill(surroundings.valkey_process.pid, signal.SIGCONT)
    assert not parts["redis"]["ok"]


def test_readyz_is_unavailable_without_the_database(client, transactional_db, monkeypatch):
    class UnavailableManager:
        def filter(self, **_):
            return self

        def values_list(self, *_, **__):
            raise DatabaseError("secret: the password is 1234")

    monkeypatch.setattr(health.WorkerNode, "objects", UnavailableManager())
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["status"] == "unavailable"
    assert b"secret" not in response.content and b"Traceback" not in response.content
