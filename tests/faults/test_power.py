"""F12 and F32: the disk is full; everything is killed at once and started again. On installations of their own."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson
import pytest
from django.db import connection

from executor.errors import Unavailable
from executor.models import Batch
from executor.supervisor.embedded import embedded_valkey
from executor.supervisor.spawn import PROJECT, kill_group, spawn
from tests.faults.conftest import FAST
from tests.support.batches import assert_true_to_itself, item, submit
from tests.support.environment import ON_POSTGRESQL
from tests.support.waiting import eventually

LOOK = """
import django, json; django.setup()
from executor.invariants import examine
from executor.models import Batch, BatchTask
from collections import Counter
print(json.dumps({
    "breaches": [told for batch in Batch.objects.all() for _, told in examine(batch.pk).breaches],
    "statuses": Counter(BatchTask.objects.values_list("status", flat=True)),
    "names": list(Batch.objects.values_list("name", flat=True)),
}))
"""
ADD = """
import django, sys; django.setup()
from tests.support.batches import item, submit
from executor.errors import Unavailable
try:
    submit(*[item("nap", seconds=0.02) for _ in range(int(sys.argv[1]))], name=sys.argv[2], max_concurrent=4)
except Unavailable as error:
    print(error)
    sys.exit(3)
"""


class Site:
    """An installation in a folder, whose processes may be killed and started again."""

    def __init__(self, folder, logs):
        self.folder, self.logs, self.processes = folder, logs, []
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
        eventually(self.valkey.answers, timeout=20)

    def start_worker(self) -> subprocess.Popen:
        return self.start(sys.executable, "manage.py", "rqworker", "critical", "high", "medium", "low", name="worker")

    def kill_all(self) -> None:
        for process in self.processes:
            kill_group(process.pid, signal.SIGKILL)
        for process in self.processes:
            process.wait(10)
        self.processes.clear()

    def run(self, *argv: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, *argv], cwd=PROJECT, env=self.environment, capture_output=True, text=True, timeout=60
        )

    def look(self) -> dict:
        done = self.run("-c", LOOK)
        assert done.returncode == 0, done.stderr
        return orjson.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def small_disk(tmp_path):
    """A folder with few megabytes: a file system of its own for root."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", folder]).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def short(tmp_path_factory):
    """A folder whose path is short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="bx-power-", dir="/tmp"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


if os.geteuid() == 0:  # nobody else can mount a small disk

    def test_a_full_disk_tears_nothing_and_work_goes_on_when_there_is_room(small_disk, short):
        site = Site(small_disk, short)
        try:
            site.start_valkey()
            assert site.run("manage.py", "migrate", "--verbosity", "0").returncode == 0
            site.start_worker()
            assert site.run("-c", ADD, "60", "before").returncode == 0
            eventually(lambda: site.look()["statuses"].get("completed"), timeout=30, every=0.2)
            ballast = small_disk / "ballast"
            with open(ballast, "wb", buffering=0) as file, contextlib.suppress(OSError):
                while file.write(b"x" * 4096):
                    pass
            done = site.run("-c", ADD, "20000", "too many")
            assert done.returncode == 3, (done.stdout, done.stderr)
            ballast.unlink()
            freed = time.monotonic()
            assert site.run("-c", ADD, "20", "after").returncode == 0
            found = eventually(
                lambda: (seen := site.look()) and seen["statuses"] == {"completed": 80} and seen,
                timeout=30,
                every=0.2,
                told=lambda: f"{site.look()}\n{(short / 'worker.log').read_text()[-3000:]}",
            )
            assert time.monotonic() - freed < 30
            assert not found["breaches"] and sorted(found["names"]) == ["after", "before"]
        finally:
            site.kill_all()


if not ON_POSTGRESQL:

    def test_a_call_for_which_there_is_no_room_stores_nothing(shared_db):
        """The same without a disk of its own, and without workers."""
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
        assert_true_to_itself(batch.id)


def test_everything_is_killed_at_once_and_goes_on_when_it_is_started_again(short):
    site = Site(short, short)

    def start_all() -> None:
        site.start_valkey()
        if ON_POSTGRESQL:
            server = [sys.executable, "-m", "executor.ground.postgresql", str(short / "pg")]
            (short / "pg").mkdir(exist_ok=True)
            site.start(*server, name="postgresql")
            url = eventually(lambda: (short / "postgresql.log").read_text().splitlines(), timeout=60)[-1]
            site.environment["DATABASE_URL"] = url

    try:
        start_all()
        assert site.run("manage.py", "migrate", "--verbosity", "0").returncode == 0
        site.start_worker()
        site.start_worker()
        assert site.run("-c", ADD, "150", "power").returncode == 0
        eventually(lambda: site.look()["statuses"].get("completed", 0) > 20, timeout=30)
        site.kill_all()
        start_all()
        site.start_worker()
        back = time.monotonic()
        found = eventually(
            lambda: (seen := site.look()) and seen["statuses"] == {"completed": 150} and seen, timeout=40, every=0.2
        )
        assert time.monotonic() - back < 40
        assert not found["breaches"]
    finally:
        site.kill_all()
