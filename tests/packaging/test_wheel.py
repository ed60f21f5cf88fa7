"""The wheel installs a working command, outside the checkout."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from executor.processes.layout import PROJECT
from tests.support.processes import clean_environment, free_port
from tests.support.waiting import eventually

FUNCTIONS = """
from executor.functions import task_function


@task_function(example={"name": "Ada"})
def greet(name: str) -> str:
    \"\"\"Return a greeting.\"\"\"
    return f"Hello {name}"
"""

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


class Installation:
    """A virtual environment with the wheel, and a folder to work in, which has a package of task functions."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder = folder / "work"
        (self.folder / "our_tasks").mkdir(parents=True)
        (self.folder / "our_tasks" / "__init__.py").touch()
        (self.folder / "our_tasks" / "batch_functions.py").write_text(FUNCTIONS)
        self.environment = {**clean_environment(), "BATCH_APPS": "our_tasks"}
        self.environment.pop("PYTHONPATH", None)
        environment = folder / "venv"
        venv.create(environment)
        python = environment / "bin" / "python"
        _run(*PIP, "--python", str(python), "install", "-q", "--no-deps", "--no-index", str(wheel))
        # The dependencies are those of this run; installing them again would take a minute and a network.
        packages = next(environment.glob("lib/python*/site-packages"))
        (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
        self.command = str(environment / "bin" / "batch-executor")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return _run(self.command, *arguments, cwd=self.folder, env=self.environment)


class Site:
    """A running `batch-executor up`."""

    def __init__(self, installation: Installation) -> None:
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        self._log_path = installation.folder / "up.log"
        with open(self._log_path, "w") as log:
            self.process = subprocess.Popen(
                [installation.command, "up", "--port", str(port), "--workers", "1"],
                cwd=installation.folder,
                env=installation.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def log(self) -> str:
        return self._log_path.read_text()

    def wait_until_ready(self) -> None:
        def ready() -> bool:
            if self.process.poll() is not None:
                raise RuntimeError(f"`up` ended with code {self.process.returncode}:\n{self.log}")
            return "ready: " in self.log

        eventually(ready, timeout=60, what="`up` is ready", describe=lambda: self.log)

    def end(self) -> int:
        self.process.terminate()
        try:
            return self.process.wait(30)
        finally:
            self.process.kill()


def _run(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    run = subprocess.run(arguments, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, **options)
    assert run.returncode == 0, f"{' '.join(arguments)}\n{run.stdout}{run.stderr}"
    return run


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _run(*PIP, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder), str(PROJECT))
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installation(wheel: Path) -> Iterator[Installation]:
    # Not pytest's folder: the embedded Valkey needs a short path for its socket.
    with tempfile.TemporaryDirectory(prefix="bx-wheel-", dir="/tmp") as folder:
        yield Installation(Path(folder), wheel)


@pytest.fixture(scope="module")
def site(installation: Installation) -> Iterator[Site]:
    running = Site(installation)
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.end()


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read().decode()


def test_wheel_contains_every_file_of_the_product(wheel):
    paths = [path for part in ("batchsite", "executor", "templates", "static") for path in (PROJECT / part).rglob("*")]
    names = [str(path.relative_to(PROJECT)) for path in paths if path.is_file() and path.suffix != ".pyc"]
    expected = {re.sub(r"^(templates|static)/", r"batchsite/\1/", name) for name in names}
    assert {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name} == expected


def test_wheel_requires_the_pinned_requirements(wheel):
    archive = zipfile.ZipFile(wheel)
    metadata = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    required = message_from_bytes(archive.read(metadata)).get_all("Requires-Dist", [])
    lines = [line.partition("#")[0].strip() for line in (PROJECT / "requirements.txt").read_text().splitlines()]
    assert {_normal(text) for text in required} == {_normal(line) for line in lines if line}


def _normal(requirement: str) -> tuple[str, str]:
    parsed = Requirement(requirement)
    return canonicalize_name(parsed.name), str(parsed.specifier)


def test_pages_are_served_with_their_styles(site):
    page = get(f"{site.url}/login/")
    styles = re.findall(r'<link rel="stylesheet" href="([^"]+)"', page)
    assert styles and all("{" in get(site.url + style) for style in styles)


def test_tasks_run_functions_of_the_current_directory(site, installation):
    tasks = installation.folder / "tasks.json"
    tasks.write_text(json.dumps([{"function": "greet", "params": {"name": "Ada"}}]))
    installation.run("batch", "add-batch", str(tasks), "--name", "Greetings", "--start", "--watch")
    added = installation.run("batch", "add-batch", str(tasks), "--name", "Later").stdout
    assert "Next: batch-executor batch start --batch" in added
    assert "Hello Ada" in installation.run("batch", "results", "--batch", "Greetings").stdout


def test_data_is_stored_in_the_current_directory(site, installation):
    assert (installation.folder / "var" / "batch.sqlite3").exists()


def test_up_ends_on_sigterm(site):
    children = _run("ps", "-o", "pid=", "--ppid", str(site.process.pid)).stdout.split()
    assert site.end() == 0, site.log
    assert children and not [pid for pid in children if os.path.exists(f"/proc/{pid}")]
