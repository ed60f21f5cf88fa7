"""Crash of PostgreSQL (F9), a full disk (F12), and a kill of everything (F32), each on its own installation."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import orjson
import pytest
from django.db import connection

from executor.domain.errors import Unavailable
from executor.models import Batch
from executor.processes.groups import kill_group
from executor.processes.spawning import PROJECT, spawn
from executor.supervisor.valkey import embedded_valkey
from tests.faults.conftest import FAST
from tests.support.batches import assert_consistent, item, submit
from tests.support.environment import ON_POSTGRESQL
from tests.support.waiting import eventually

LOOK = """
import django, json; django.setup()
from executor.testbed.auditor import audit
from executor.models import Batch, BatchTask, TaskAttempt
from collections import Counter
print(json.dumps({
    "breaches": [text for batch in Batch.objects.all() for _, text in audit(batch.pk).breaches],
    "statuses": Counter(BatchTask.objects.values_list("status", flat=True)),
    "charged": TaskAttempt.objects.filter(outcome__in=("failed", "rescued")).count(),
    "names": list(Batch.objects.values_list("name", flat=True)),
}))
"""
DATABASES = ("sqlite", "postgresql")
ADD = """
import django, sys; django.setup()
from tests.support.batches import item, submit
from executor.domain.errors import Unavailable
try:
    submit(*[item("nap", seconds=0.02) for _ in range(int(sys.argv[1]))], name=sys.argv[2], max_concurrent=4)
except Unavailable as error:
    print(error)
    sys.exit(3)
"""


class Site:
    """An installation whose database is in a folder, and whose processes may be killed and started again."""

    def __init__(self, folder: Path, logs: Path, database: str):
        self.folder, self.logs, self.processes = folder, logs, []
        self.server: subprocess.Popen | None = None  # PostgreSQL; SQLite has none
        self.on_postgresql = database == "postgresql"
        self.valkey = embedded_valkey(logs)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("BATCH_")}
        self.environment = {
            **inherited,
            **FAST,
            "BATCH_DATA": str(logs),
            "BATCH_APPS": "tests.app",
            "BATCH_CONCURRENCY": "4",
            "REDIS_URL": self.valkey.url,
            "DATABASE_URL": f"sqlite:///{folder}/batch.sqlite3",
        }

    def start(self, *argv: str, name: str) -> subprocess.Popen:
        with open(self.logs / f"{name}.log", "ab") as log:
            process = spawn(argv, env=self.environment, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def start_valkey(self) -> None:
        self.valkey.prepare()
        self.start(*self.valkey.argv, name="valkey")
        eventually(self.valkey.answers)

    def start_database(self) -> None:
        """Start the server, also after its end. SQLite has none."""
        if self.on_postgresql:
            printed = self.logs / "postgresql.log"
            printed.unlink(missing_ok=True)
            self.server = self.start(
                sys.executable, "-m", "executor.testbed.postgresql", str(self.folder), name="postgresql"
            )
            self.environment["DATABASE_URL"] = eventually(lambda: printed.read_text().splitlines())[-1]

    def crash_database(self) -> None:
        """Crash PostgreSQL, and return when it has recovered and printed its address."""
        printed = self.logs / "postgresql.log"
        starts = len(printed.read_text().splitlines())
        os.kill(self.server.pid, signal.SIGUSR1)
        eventually(lambda: len(printed.read_text().splitlines()) > starts)

    def start_all(self) -> None:
        self.start_valkey()
        self.start_database()

    def start_worker(self) -> subprocess.Popen:
        return self.start(sys.executable, "manage.py", "rqworker", "critical", "high", "medium", "low", name="worker")

    def kill_all(self) -> None:
        for process in self.processes:
            kill_group(process.pid, signal.SIGKILL)
        for process in self.processes:
            process.wait(60)
        self.processes.clear()

    def migrate(self) -> None:
        done = self.run("manage.py", "migrate", "--verbosity", "0")
        assert done.returncode == 0, done.stderr

    def add(self, count: int, name: str) -> subprocess.CompletedProcess:
        """Add a batch of short tasks; the code is 3 when it was refused as unavailable."""
        return self.run("-c", ADD, str(count), name)

    def await_completed(self, count: int) -> None:
        eventually(lambda: self.look()["statuses"].get("completed", 0) >= count, every=0.2)

    def await_all_completed(self, count: int) -> dict:
        """Wait until exactly these tasks exist and are completed; return the site's state."""

        def completed() -> dict | None:
            found = self.look()
            return found if found["statuses"] == {"completed": count} else None

        return eventually(completed, every=0.2, describe=self.describe)

    def describe(self) -> str:
        return f"{self.look()}\n{(self.logs / 'worker.log').read_text()[-3000:]}"

    def run(self, *argv: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, *argv], cwd=PROJECT, env=self.environment, capture_output=True, text=True, timeout=120
        )

    def look(self) -> dict:
        done = self.run("-c", LOOK)
        assert done.returncode == 0, done.stderr
        return orjson.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def short():
    """Give a folder with a path short enough for sockets, which PostgreSQL's user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="bx-power-", dir="/tmp"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=DATABASES)
def site(request, short):
    """Give an installation with running Valkey and database, which end after the test."""
    (short / "db").mkdir()
    one = Site(short / "db", short, request.param)
    try:
        one.start_all()
        one.migrate()
        yield one
    finally:
        one.kill_all()


@pytest.fixture(params=DATABASES)
def small_site(request, short):
    """Give the same on a small disk, as root on a separate file system. PostgreSQL alone takes 100 MB."""
    folder = short / "small"
    folder.mkdir()
    size = {"sqlite": "16m", "postgresql": "256m"}[request.param]
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder]).returncode:
        pytest.skip("no file system can be mounted here")
    one = Site(folder, short, request.param)
    try:
        one.start_all()
        one.migrate()
        yield one
    finally:
        one.kill_all()
        subprocess.run(["umount", "-l", folder], check=True)


if os.geteuid() == 0:  # only root can mount a small disk

    def test_full_disk_corrupts_nothing_and_work_resumes(small_site):
        """F12. PostgreSQL may give itself up when its log finds no room; then it is started again, as an init would."""
        site = small_site
        site.start_worker()
        assert site.add(60, "before").returncode == 0
        site.await_completed(1)
        ballast = site.folder / "ballast"
        with open(ballast, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"x" * 4096):
                pass
        done = site.add(20_000, "too many")
        assert done.returncode == 3, (done.stdout, done.stderr)
        ballast.unlink()
        if site.server and site.server.poll() is not None:
            site.start_database()
        eventually(lambda: site.add(20, "after").returncode == 0, every=0.2)
        found = site.await_all_completed(80)
        assert not found["breaches"] and sorted(found["names"]) == ["after", "before"]


if not ON_POSTGRESQL:

    def test_call_without_disk_space_stores_nothing(shared_db):
        """The same with a limit of SQLite, and without workers."""
        with connection.cursor() as cursor:
            cursor.execute("VACUUM")  # what other tests deleted would be room
            cursor.execute("PRAGMA page_count")
            pages = cursor.fetchone()[0]
            cursor.execute(f"PRAGMA max_page_count = {pages + 5}")
            try:
                with pytest.raises(Unavailable, match="full"):
                    submit(*[item("ok") for _ in range(5000)], name="too many")
            finally:
                cursor.execute("PRAGMA max_page_count = 1073741823")
        assert not Batch.objects.exists()
        batch = submit(*[item("ok") for _ in range(500)])
        assert_consistent(batch.id)


def test_batch_completes_after_everything_was_killed(site):
    """F32."""
    site.start_worker()
    site.start_worker()
    assert site.add(150, "power").returncode == 0
    site.await_completed(20)
    site.kill_all()
    site.start_all()
    site.start_worker()
    found = site.await_all_completed(150)
    assert not found["breaches"]


@pytest.mark.parametrize("site", ["postgresql"], indirect=True)
def test_postgresql_crashes_charge_no_task(site):
    """F9. All connections break, it recovers from its log, and again; the workers reconnect."""
    worker = site.start_worker()
    assert site.add(300, "crash").returncode == 0
    for completed in (60, 120, 180):
        site.await_completed(completed)
        site.crash_database()
    found = site.await_all_completed(300)
    assert not found["breaches"] and not found["charged"], found
    assert worker.poll() is None
