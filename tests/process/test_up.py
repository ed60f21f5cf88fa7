"""`manage.py up`: start, use, faults, stop."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import psutil
import pytest
from django.contrib.auth.models import User
from websockets.sync.client import connect

from executor.models import WorkerNode
from executor.processes.layout import PROJECT
from tests.support.processes import clean_environment, free_port, manage, status_of
from tests.support.waiting import eventually

READY_TIMEOUT = 60  # seconds, for a busy machine
STOP_TIMEOUT = 30  # seconds; `up` kills what has not ended after 10


class Up:
    """A running `up` and its output."""

    def __init__(self, data, *arguments, env=None):
        self.data = data
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--data", str(data), "--port", str(self.port), *arguments],
            cwd=PROJECT,
            env={**clean_environment(), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def text(self):
        return "\n".join(self.lines)

    def wait_for_line(self, pattern, timeout=READY_TIMEOUT):
        def found():
            for line in list(self.lines):
                if match := re.search(pattern, line):
                    return match
            if self.process.poll() is not None and not self._reader.is_alive():
                raise RuntimeError(f"`up` ended with code {self.process.returncode}:\n{self.text}")

        try:
            return eventually(found, timeout=timeout, what=f"a line with {pattern!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n--- output:\n{self.text}") from None

    def descendants(self) -> dict[int, str]:
        """Return the command lines of all its processes, by pid."""
        found = {}
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                found[process.pid] = " ".join(process.cmdline())
            except psutil.Error:
                pass
        return found

    def one(self, text) -> int:
        return next(pid for pid, line in self.descendants().items() if text in line)

    def end(self):
        """Kill everything, also after a test that failed midway."""
        descendants = self.descendants() if self.process.poll() is None else {}
        self.process.kill()
        self.process.wait(10)
        for pid in descendants:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self._reader.join(5)
        self.process.stdout.close()


@pytest.fixture
def up():
    """Start `up` on a new data folder, with one worker."""
    started = []
    with tempfile.TemporaryDirectory(prefix="up-", dir="/tmp") as folder:  # short enough for a socket

        def start(*arguments, data=None, env=None):
            started.append(Up(data or Path(folder), "--workers", "1", *arguments, env=env))
            return started[-1]

        yield start
        for one in started:
            one.end()


def have_ended(pids) -> bool:
    return not [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]


def test_site_starts_serves_and_stops(up):
    site = up()
    site.wait_for_line(r"^agent token: ")

    ready = [line for line in site.lines if line.startswith("ready:")]
    assert ready == [f"ready: {site.url}/"]
    assert status_of(f"{site.url}/healthz") == status_of(f"{site.url}/readyz") == 200

    path = site.data / "agent-token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((site.data / "valkey.sock").stat().st_mode) == 0o700
    assert site.text.count(str(path)) == 1
    request = urllib.request.Request(
        f"{site.url}/api/batches", headers={"Authorization": f"Bearer {path.read_text().strip()}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200

    link = site.wait_for_line(r"^login: (http://\S+)$")[1]
    jar = CookieJar()
    visitor = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    with visitor.open(link, timeout=10) as answer:
        assert answer.status == 200 and answer.url == f"{site.url}/"
    assert status_of(link) == 410  # it works once

    descendants = site.descendants()
    assert len([line for line in descendants.values() if "rqworker" in line]) == 1
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar)
    with connect(
        f"ws://127.0.0.1:{site.port}/ws/batches", origin=site.url, additional_headers={"Cookie": cookies}
    ) as line:
        assert json.loads(line.recv(5))["t"] == "batches"
        site.process.send_signal(signal.SIGINT)  # while a page is open
        assert site.process.wait(STOP_TIMEOUT) == 0, site.text
    assert have_ended(descendants), site.text
    assert not (site.data / "valkey.sock").exists()


def test_second_up_and_taken_port_are_rejected(up, tmp_path):
    site = up()
    site.wait_for_line("^ready: ")
    second = manage("up", "--data", str(site.data), "--port", str(free_port()), env=clean_environment())
    assert second.returncode == 1
    assert f"process {site.process.pid}" in second.stderr and "Traceback" not in second.stderr
    other = manage("up", "--data", str(tmp_path / "other"), "--port", str(site.port), env=clean_environment())
    assert other.returncode == 1
    assert f"port {site.port}" in other.stderr and "Traceback" not in other.stderr
    assert status_of(f"{site.url}/healthz") == 200


@pytest.mark.parametrize("part", ["rqworker", "daphne", "valkey-server"])
def test_killed_part_is_restarted(up, part):
    site = up()
    site.wait_for_line("^ready: ")
    killed = site.one(part)
    os.kill(killed, signal.SIGKILL)
    site.wait_for_line("was ended by SIGKILL; restarting in 1 s", timeout=30)
    eventually(lambda: [pid for pid, line in site.descendants().items() if part in line and pid != killed], timeout=30)

    def is_ready():
        with urllib.request.urlopen(f"{site.url}/readyz", timeout=5) as answer:
            return b'"status": "ready"' in answer.read()

    eventually(is_ready, timeout=30, every=0.2, what="the site is ready again")


def test_processes_end_with_a_killed_supervisor(up):
    site = up()
    site.wait_for_line("^ready: ")
    descendants = site.descendants()
    assert len(descendants) >= 3
    token = (site.data / "agent-token").read_text()
    site.process.kill()
    again = up(data=site.data)
    again.wait_for_line("^ready: ")
    eventually(lambda: have_ended(descendants), timeout=15, what="the processes of the first one have ended")
    assert (site.data / "agent-token").read_text() == token


def test_second_valkey_waits_until_the_first_has_ended(up):
    site = up()
    site.wait_for_line("^ready: ")
    valkey = site.one("valkey-server")
    os.kill(valkey, signal.SIGSTOP)  # it cannot end now
    site.process.kill()
    try:
        again = up(data=site.data)
        with pytest.raises(AssertionError):
            again.wait_for_line("^ready: ", timeout=5)
        assert "valkey-server" not in " ".join(again.descendants().values())
    finally:
        os.kill(valkey, signal.SIGCONT)
    again.wait_for_line("^ready: ")


def test_worker_that_does_not_end_is_killed(up):
    site = up(env={"BATCH_GRACE": "1"})
    site.wait_for_line("^ready: ")
    descendants = site.descendants()
    os.kill(site.one("rqworker"), signal.SIGSTOP)
    site.process.send_signal(signal.SIGTERM)
    assert site.process.wait(STOP_TIMEOUT) == 0
    assert have_ended(descendants)
    assert "did not end in time; killed" in site.text


def test_long_path_puts_valkey_on_loopback_with_a_password(up, tmp_path):
    site = up(data=tmp_path / ("long" * 40))
    site.wait_for_line("^ready: ")
    url_file = site.data / "redis-url"
    assert stat.S_IMODE(url_file.stat().st_mode) == 0o600
    address = re.fullmatch(r"redis://:(.{30,})@127\.0\.0\.1:(\d+)/0", url_file.read_text())
    with socket.create_connection(("127.0.0.1", int(address[2])), timeout=5) as stranger:
        stranger.sendall(b"PING\r\n")
        assert stranger.recv(100).startswith(b"-NOAUTH")
    assert all(address[1] not in line for line in site.descendants().values())  # `ps` does not show it
    with urllib.request.urlopen(f"{site.url}/readyz", timeout=5) as answer:
        assert b'"status": "ready"' in answer.read()


def test_demo_adds_a_batch(up):
    site = up("--demo", "--no-browser-link")
    site.wait_for_line("^ready: ")
    site.wait_for_line("^agent token: ")
    assert "login:" not in site.text
    result = manage(
        "shell",
        "--no-imports",
        "-c",
        "from executor.models import Batch; b = Batch.objects.get(); print(b.name, b.state, b.stats.total_tasks)",
        env={**clean_environment(), "BATCH_DATA": str(site.data)},
    )
    assert result.stdout.split() == ["Demo", "running", "200"], result.stderr


def test_configured_servers_are_used(up, surroundings, valkey, shared_db):
    """REDIS_URL replaces the embedded Valkey, DATABASE_URL the SQLite file."""
    site = up(env={"REDIS_URL": surroundings.valkey.url, "DATABASE_URL": surroundings.database_url})
    site.wait_for_line("^ready: ")
    assert not [line for line in site.descendants().values() if "valkey-server" in line]
    assert not (site.data / "batch.sqlite3").exists()
    assert valkey.scard("rq:workers") == 1
    assert WorkerNode.objects.filter(state="active").count() == 1
    assert User.objects.get().username == "operator"


@pytest.mark.parametrize(
    "arguments", [("--port", "0"), ("--port", "http"), ("--workers", "0"), ("--host", "no.such.host.")]
)
def test_invalid_arguments_are_rejected(tmp_path, arguments):
    port = () if arguments[0] == "--port" else ("--port", str(free_port()))
    result = manage("up", "--data", str(tmp_path), *port, *arguments, env=clean_environment())
    assert result.returncode != 0 and "Traceback" not in result.stderr
    assert arguments[1] in result.stderr
