"""What was committed is soon in SQLite's database itself, and not only in its log."""

import sqlite3
import subprocess
import threading
from contextlib import closing

import pytest
from django.db import connection

from tests.factories import add_tasks, make_batch

_COUNT = "SELECT count(*) FROM executor_batchtask WHERE batch_id = ?"

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_few_tasks_are_soon_in_the_file_of_the_database_alone(tmp_path, eventually):
    batch = make_batch()
    add_tasks(batch, 3)
    if connection.vendor == "postgresql":  # sees to that itself
        assert "checkpoints" not in [thread.name for thread in threading.enumerate()]
        return

    def tasks_in_the_file() -> int:
        """As somebody finds them who has this file and not the log."""
        copy = tmp_path / "copy.sqlite3"
        # In a process of its own: whoever closes the file loses the locks that SQLite has on it for his process.
        subprocess.run(["cp", connection.settings_dict["NAME"], copy], check=True)
        with closing(sqlite3.connect(copy)) as database:
            try:
                return database.execute(_COUNT, [batch.pk.hex]).fetchone()[0]
            except sqlite3.DatabaseError:
                return 0  # copied in the midst of it

    assert eventually(lambda: tasks_in_the_file() == 3, timeout=10)
