"""The surroundings of a test run: a temporary data folder, a Valkey in it, a database.

They are set in the environment before Django's settings are read, and inherited by every process that a test starts.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from executor.processes.spawning import spawn
from executor.supervisor.valkey import EmbeddedValkey, embedded_valkey
from executor.testbed.postgresql import WITHOUT_DURABILITY, PostgreSQL
from tests.support.waiting import eventually

ON_POSTGRESQL = os.environ.get("BATCH_TEST_DATABASE", "sqlite").startswith("postgres")
DATABASE = "batch_tests"


class Surroundings:
    """The temporary folders and servers of a test run."""

    def __init__(self) -> None:
        self.stack = contextlib.ExitStack()
        self.folders: list[Path] = []
        self.data = self._folder()
        self.valkey: EmbeddedValkey = embedded_valkey(self.data)
        self.valkey_process: subprocess.Popen | None = None
        self.database_url = f"sqlite:///{self.data / 'batch.sqlite3'}"

    def _folder(self) -> Path:
        # Directly in /tmp: sockets need short paths, and PostgreSQL may run as a user who has no access to others.
        folder = Path(tempfile.mkdtemp(prefix="bx-", dir="/tmp")).resolve()
        self.folders.append(folder)
        self.stack.callback(shutil.rmtree, folder, ignore_errors=True)
        return folder

    def enter(self) -> None:
        """Set the environment, once, before Django's settings are read."""
        self.stack.callback(_restore, dict(os.environ))
        for name in [name for name in os.environ if name.startswith("BATCH_") and not name.startswith("BATCH_TEST")]:
            if name != "BATCH_NO_SKIP":
                del os.environ[name]  # the tests set what they need
        url = self.database_url
        if ON_POSTGRESQL:
            server = PostgreSQL(self._folder(), shared_buffers="64MB", **WITHOUT_DURABILITY)
            self.stack.enter_context(server)
            url, self.database_url = server.url(), server.url(DATABASE)
        os.environ.update(
            DJANGO_SETTINGS_MODULE="batchsite.settings",
            BATCH_DATA=str(self.data),
            DATABASE_URL=url,
            REDIS_URL=self.valkey.url,
            BATCH_APPS="tests.app",
            SECRET_KEY="for the tests, and long enough to be taken for a real one",
        )
        self.environment = {**os.environ, "DATABASE_URL": self.database_url, "PYTHONUNBUFFERED": "1"}

    def start_valkey(self) -> None:
        """Start Valkey, also after a test has killed it."""
        self.valkey.prepare()
        with open(self.data / "valkey.log", "ab") as log:
            self.valkey_process = spawn(self.valkey.argv, stdout=log, stderr=log)
        eventually(self.valkey.answers, what="Valkey answers")

    def stop_valkey(self) -> None:
        if self.valkey_process and self.valkey_process.poll() is None:
            self.valkey_process.kill()
            self.valkey_process.wait(10)

    def leave(self) -> None:
        """Stop and remove everything; may be called twice."""
        self.stop_valkey()
        self.stack.close()


def _restore(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
