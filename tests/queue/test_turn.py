"""The line of writers on SQLite: it orders them, and nobody waits in it without an end."""

import fcntl
import time

import pytest
from django.db import connection

from executor.db import dialect
from tests.factories import add_tasks, make_batch
from tests.queue.interleave import Rival

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_writer_that_is_frozen_with_its_turn_does_not_hold_up_the_others_for_ever(monkeypatch, tmp_path, eventually):
    monkeypatch.setattr(dialect, "PATIENCE", 0.3)
    batch = make_batch()
    # PostgreSQL has no such line: there the test shows that nobody waits.
    line = tmp_path / "turn" if connection.vendor == "postgresql" else f"{connection.settings_dict['NAME']}-turn"
    with open(line, "wb") as frozen:
        fcntl.flock(frozen, fcntl.LOCK_EX)
        began = time.monotonic()
        add_tasks(batch)
        assert time.monotonic() - began < 5
        # Who has waited in vain knows better, and so do all others of its process.
        monkeypatch.setattr(dialect, "PATIENCE", 60)
        add_tasks(batch)
        assert Rival(lambda: len(add_tasks(batch))).begun().join(5) == 1
    assert len(add_tasks(batch)) == 1

    def in_order_again() -> bool:
        with dialect.turn():
            rival = Rival(lambda: add_tasks(batch)).begun()
            waits = rival.still_waits(0.1)
        rival.join()
        return waits or connection.vendor == "postgresql"

    eventually(in_order_again, timeout=5)
