"""The write lock of SQLite orders the writers, and a suspended holder does not block them."""

import fcntl
from contextlib import contextmanager

import pytest
from django.db import connection

from executor.db import write_lock
from tests.factories import add_tasks, make_batch
from tests.queue.interleave import ConcurrentCall

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'sqlite'", reason="only SQLite has this lock"),
]


@contextmanager
def suspended_holder():
    """Hold the lock file as a suspended process would."""
    with open(f"{connection.settings_dict['NAME']}-turn", "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_suspended_holder_delays_only_one_writer(monkeypatch):
    batch = make_batch()
    with suspended_holder():
        monkeypatch.setattr(write_lock, "LOCK_TIMEOUT", 0.3)
        assert len(add_tasks(batch)) == 1
        # After one timeout no thread of the process waits again: a wait would now end the test by its timeout.
        monkeypatch.setattr(write_lock, "LOCK_TIMEOUT", 600)
        assert len(add_tasks(batch)) == 1
        assert ConcurrentCall(lambda: len(add_tasks(batch))).started().join() == 1


def test_writers_wait_again_after_the_lock_was_released(monkeypatch):
    batch = make_batch()
    with suspended_holder():
        monkeypatch.setattr(write_lock, "LOCK_TIMEOUT", 0.1)
        add_tasks(batch)
    monkeypatch.setattr(write_lock, "LOCK_TIMEOUT", 600)
    add_tasks(batch)
    with write_lock.write_lock():
        concurrent = ConcurrentCall(lambda: add_tasks(batch)).started()
        assert concurrent.is_blocked()
    concurrent.join()
