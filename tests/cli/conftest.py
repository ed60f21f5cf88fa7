"""`manage.py batch` as a process, with and without a terminal."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest

from executor.processes.layout import PROJECT
from tests.support.processes import manage

CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass
class Done:
    """The exit code and output of a command."""

    code: int
    out: str
    err: str = ""

    @property
    def data(self) -> dict:
        return json.loads(self.out)["data"]


class Batch:
    """`batch("add", "simulate")` runs `manage.py batch` on the data of the test."""

    def __init__(self, env):
        self.env = env

    def __call__(self, *words, stdin=None, env=None, timeout=60) -> Done:
        environment = {**self.env, **(env or {})}
        if stdin is None:
            done = manage("batch", *words, env=environment, timeout=timeout)
        else:
            argv = [sys.executable, "manage.py", "batch", *words]
            options = {"cwd": PROJECT, "env": environment, "capture_output": True, "timeout": timeout}
            done = subprocess.run(argv, input=stdin, text=True, **options)
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def on_terminal(self, *words, answer="", interrupt_at="", timeout=60) -> Done:
        """Run on a terminal of 120 columns; type `answer` at a question mark, Ctrl-C after `interrupt_at`."""
        ours, theirs = pty.openpty()
        argv = [sys.executable, "manage.py", "batch", *words]
        env = {**self.env, "TERM": "xterm", "COLUMNS": "120"}
        process = subprocess.Popen(
            argv, cwd=PROJECT, env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        seen, deadline = "", time.monotonic() + timeout
        try:
            while time.monotonic() < deadline:
                if not select.select([ours], [], [], 0.2)[0]:
                    continue
                try:
                    data = os.read(ours, 65536)
                except OSError:  # the other side is closed
                    break
                if not data:
                    break
                seen += data.decode(errors="replace")
                if answer and "?" in seen:
                    os.write(ours, f"{answer}\n".encode())
                    answer = ""
                if interrupt_at and re.search(interrupt_at, CODES.sub("", seen)):
                    process.send_signal(signal.SIGINT)
                    interrupt_at = ""
            return Done(process.wait(max(1, deadline - time.monotonic())), CODES.sub("", seen))
        finally:
            os.close(ours)
            if process.poll() is None:
                process.kill()
                process.wait()


@pytest.fixture
def batch(shared_db, valkey, child_environment):
    return Batch(child_environment)
