"""Workers that die, pause or fail at a failpoint, and workers that rescue their tasks.

Timeouts are short: faults are noticed within two seconds instead of half a minute.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from executor.processes.layout import PROJECT
from tests.support.processes import RunningWorker
from tests.support.waiting import TIMEOUT, eventually

LIMIT = 1.5  # seconds of silence after which a worker is dead
TICKET_LIMIT = 1.0
FAST = {
    "BATCH_HEARTBEAT": "0.3",
    "BATCH_HEARTBEAT_LIMIT": str(LIMIT),
    "BATCH_TICKET_LIMIT": str(TICKET_LIMIT),
    "BATCH_GRACE": "1",
}


@pytest.fixture
def start(worker):
    """Start a worker with failpoints, such as `at="after-claim=kill"`."""

    def begin(at: str = "", **more) -> RunningWorker:
        env = {**FAST, "BATCH_DEBUG_FAILPOINTS": at, **more.pop("env", {})}
        return worker(env=env, **{"concurrency": 4, **more})

    return begin


@pytest.fixture
def mark(tmp_path) -> str:
    """Return the path of a file in which tasks note their starts and ends."""
    return str(tmp_path / "marks")


@pytest.fixture
def script(shared_db, child_environment):
    """Run lines of Python in another process, and return the completed process."""

    def execute(code: str, at: str = "", timeout: float = 120, **env: str) -> subprocess.CompletedProcess:
        lines = "import django; django.setup()\nfrom tests.support.batches import item, run, submit\n" + code
        return subprocess.run(
            [sys.executable, "-c", lines],
            cwd=PROJECT,
            env={**child_environment, **FAST, "BATCH_DEBUG_FAILPOINTS": at, **env},
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return execute


def wait_until_killed(one: RunningWorker, timeout: float = TIMEOUT) -> None:
    """Wait until a failpoint has killed a worker."""
    assert one.process.wait(timeout) == -signal.SIGKILL, one.log[-4000:]


def wait_until_suspended(pid: int, timeout: float = TIMEOUT) -> int:
    """Wait until a process has suspended itself; return its pid."""
    eventually(lambda: process_state(pid) == "T", timeout=timeout, what=f"process {pid} sleeps")
    return pid


def resume(pid: int) -> None:
    os.kill(pid, signal.SIGCONT)


def process_state(pid: int) -> str:
    """Return the state letter of a process; empty when it does not exist."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
