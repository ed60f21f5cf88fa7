"""Workers that serve a whole module, which saves their start for each test."""

import pytest
from django.core.management import call_command

from tests.support.processes import RunningWorker

# Faults are noticed in a second or two instead of half a minute.
FAST = {"BATCH_HEARTBEAT": "0.4", "BATCH_HEARTBEAT_LIMIT": "3", "BATCH_TICKET_LIMIT": "1.5", "BATCH_GRACE": "2"}


@pytest.fixture(scope="module")
def module_db(django_db_setup, django_db_blocker):
    """Give a database with real commits, which is emptied after the module. Its tests use separate batches."""
    with django_db_blocker.unblock():
        yield
        call_command("flush", interactive=False, verbosity=0)


@pytest.fixture(scope="module")
def start_worker(module_db, _valkey_server, surroundings, tmp_path_factory):
    """Start a worker for this module; it ends with the module."""
    started = []

    def start(concurrency: int = 20, **env: str) -> RunningWorker:
        env = {**surroundings.environment, **FAST, **env}
        one = RunningWorker(env=env, folder=tmp_path_factory.mktemp("worker"), concurrency=concurrency)
        started.append(one)
        one.wait_until_active()
        return one

    yield start
    for one in started:
        one.end()


@pytest.fixture
def mark(tmp_path) -> str:
    """Return the path of a file in which tasks note their starts and ends."""
    return str(tmp_path / "marks")
