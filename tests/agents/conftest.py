"""Tool servers as processes with sockets, and a worker that is configured with them."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.process.conftest import module_db, start_worker  # noqa: F401

SERVER = Path(__file__).with_name("mcp_server.py")
KEY = "key-of-the-mcp-server"
SLOW = {"init_timeout": 60}  # a busy machine takes long to start a server
ENVIRONMENT = {"KEY_OF_TESTS": KEY, "UNRELATED_SECRET": "the worker's own"}


class Web:
    """The MCP server over HTTP; it keeps its port over restarts."""

    def __init__(self, folder: Path):
        self.marks = folder / "web-marks"
        self._log = folder / "web.log"
        self.port = 0
        self.process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    def start(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port), backlog=100)
        self.port = listener.getsockname()[1]
        fd = listener.fileno()
        env = {**os.environ, "MCP_KEY": KEY, "MCP_MARKS": str(self.marks)}
        with listener, open(self._log, "ab") as log:
            argv = [sys.executable, str(SERVER), "http", str(fd)]
            self.process = subprocess.Popen(argv, pass_fds=[fd], env=env, stdout=log, stderr=log)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)


class Tools:
    """The file of BATCH_AGENT_TOOLS."""

    def __init__(self, path: Path):
        self.path = path
        self._entries: dict = {"mcpServers": {}, "agentZero": {}}

    def configure(self, kind: str = "mcpServers", **entries: dict) -> None:
        self._entries[kind].update(entries)
        self._write()

    def remove(self, *names: str) -> None:
        for entries in self._entries.values():
            for name in names:
                entries.pop(name, None)
        self._write()

    def _write(self) -> None:
        partial = self.path.with_suffix(".part")
        partial.write_text(json.dumps(self._entries))
        partial.replace(self.path)


def program(marks: Path, **env: str) -> dict:
    """Return the configuration of the same server as a program (stdio)."""
    return {
        "command": sys.executable,
        "args": [str(SERVER), "stdio"],
        **SLOW,
        "env": {"MCP_MARKS": str(marks), "MCP_KEY": {"$secret": "KEY_OF_TESTS"}, **env},
    }


def marks(path: Path, word: str) -> list[int]:
    """Return the pids of the processes that logged this word."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [int(line.split()[1]) for line in lines if line.split()[0] == word]


@pytest.fixture(scope="module", autouse=True)
def _environment():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    server = Web(tmp_path_factory.mktemp("mcp"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    return Tools(tmp_path_factory.mktemp("tools") / "tools.json")


@pytest.fixture(autouse=True)
def _configured(tools, settings):
    settings.BATCH_AGENT_TOOLS = str(tools.path)


@pytest.fixture(scope="module")
def worker_of_module(start_worker, tools):  # noqa: F811
    return start_worker(concurrency=10, BATCH_AGENT_TOOLS=str(tools.path), **ENVIRONMENT)


@pytest.fixture
def silent():
    """Return the address of a server that accepts connections and sends nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
