"""Variants of containment on this machine: each launcher, with a worker of root and of an ordinary user.

Variants that this machine does not support are skipped; another test requires at least one isolating variant.
"""

import functools
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

import executor
from executor.sandbox.programs import base_interpreter

ORDINARY = 54_321
DROPPED = 60_900
TIMEOUT = 40  # seconds
FOLDER = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # many small files are slow on a busy disk
LAUNCHERS = ("namespaces", "bubblewrap", "restricted", "limits")
PACKAGE = Path(executor.__file__).parent


@dataclass(frozen=True)
class Variant:
    """A launcher and the worker's user."""

    launcher: str
    worker: str  # root, or ordinary

    def __str__(self):
        return f"{self.launcher}-{self.worker}"

    @property
    def contains(self) -> bool:
        return self.launcher != "limits"

    @property
    def user(self) -> int | None:
        return DROPPED if self.worker == "root" else None


class Driver:
    """A running driver.py, as root or as an ordinary user."""

    def __init__(self, ordinary: bool):
        self.folder = Path(tempfile.mkdtemp(prefix="bx-sandbox-", dir=FOLDER))
        self.folder.chmod(0o755)
        self.temp = self.folder / "temp"
        self.temp.mkdir(mode=0o777)
        self.temp.chmod(0o777)
        code = self.folder / "code" / "executor"
        code.mkdir(parents=True)
        (code / "domain").mkdir()
        for name in ("__init__.py", "domain/__init__.py", "domain/errors.py"):
            shutil.copy(PACKAGE / name, code / name)
        for name in ("processes", "sandbox"):
            shutil.copytree(PACKAGE / name, code / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(Path(__file__).with_name("driver.py"), self.folder / "driver.py")
        subprocess.run(["chmod", "-R", "a+rX", str(self.folder / "code"), str(self.folder / "driver.py")], check=True)
        as_user = {"user": ORDINARY, "group": ORDINARY, "extra_groups": []} if ordinary else {}
        self.process = subprocess.Popen(
            [python(), "-I", "-B", str(self.folder / "driver.py"), str(self.folder / "code")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PATH": os.environ["PATH"], "TMPDIR": str(self.temp), "WORKER_SECRET": "canary-in-the-environment"},
            cwd="/",
            **as_user,
        )

    def ask(self, variant: Variant, program: dict, **more) -> dict:
        order = {"launcher": variant.launcher, "user": variant.user, "program": program, **more}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], TIMEOUT)
        if not ready:
            self.process.kill()
            raise AssertionError(f"the driver does not answer {json.dumps(order)[:500]}")
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(20)
        shutil.rmtree(self.folder)


@functools.cache
def python() -> str:
    """Return an interpreter that every user may start."""
    for path in (base_interpreter(), "/usr/bin/python3", "/usr/local/bin/python3"):
        folders = [path, *map(str, Path(path).parents)]
        if os.path.exists(path) and all(os.stat(folder).st_mode & 0o005 == 0o005 for folder in folders):
            return path
    raise RuntimeError("no Python interpreter that an ordinary user can start")


def is_root() -> bool:
    return os.geteuid() == 0


@functools.cache
def offered() -> list[Variant]:
    """Return the variants that can run a trivial program on this machine."""
    if not sys.platform.startswith("linux"):
        return []
    found = []
    for worker in ("root", "ordinary") if is_root() else ("ordinary",):
        driver = Driver(ordinary=is_root() and worker == "ordinary")
        try:
            for launcher in LAUNCHERS:
                variant = Variant(launcher, worker)
                answer = driver.ask(variant, {"argv": ["/bin/sh", "-c", "exit 7"], "timeout": 5})
                if answer["ended"] == "exit" and answer["exit_code"] == 7:
                    found.append(variant)
        finally:
            driver.close()
    return found


def marked(program: dict) -> tuple[dict, str]:
    """Return the program with a unique mark in its environment, and the mark."""
    mark = uuid.uuid4().hex
    return {**program, "env": {**program.get("env", {}), "BATCH_MARK": mark}}, mark


def processes_with(mark: str) -> list[int]:
    """Return the pids of living processes with the mark in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if mark.encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                pass  # ended, or another user's
    return found
