"""What was committed is soon in SQLite's database itself, and not only in its log."""

import sqlite3
import subprocess
import threading
from contextlib import closing

import pytest
from django.db import connection

from executor import checkpoint
from tests.factories import add_tasks, make_batch

_COUNT = "SELECT count(*) FROM executor_batchtask WHERE batch_id = ?"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def in_the_file(tmp_path):
    """How many tasks of a batch somebody finds who has the database's file and not its log."""

    def count(batch) -> int:
        copy = tmp_path / "copy.sqlite3"
        # In a process of its own: whoever closes the file loses the locks that SQLite has on it for his process.
        subprocess.run(["cp", connection.settings_dict["NAME"], copy], check=True)
        with closing(sqlite3.connect(copy)) as database:
            try:
                return database.execute(_COUNT, [batch.pk.hex]).fetchone()[0]
            except sqlite3.DatabaseError:
                return 0  # copied in the midst of it

    return count


def test_a_few_tasks_are_soon_in_the_file(in_the_file, eventually):
    batch = make_batch()
    add_tasks(batch, 3)
    if connection.vendor == "postgresql":  # sees to that itself
        assert "checkpoints" not in [thread.name for thread in threading.enumerate()]
    else:
        eventually(lambda: in_the_file(batch) == 3)


def test_what_a_reader_held_up_follows_when_it_has_read(in_the_file, eventually, monkeypatch):
    if connection.vendor == "postgresql":
        return
    tried = []
    carry_over = checkpoint._carry_over
    monkeypatch.setattr(checkpoint, "_carry_over", lambda *ours: tried.append(carry_over(*ours)) or tried[-1])
    batch = make_batch()
    with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute(_COUNT, [batch.pk.hex]).fetchone()
        add_tasks(batch, 3)
        eventually(lambda: False in tried)
        assert in_the_file(batch) == 0
    eventually(lambda: in_the_file(batch) == 3)
