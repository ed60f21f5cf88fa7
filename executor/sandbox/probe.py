"""The level that this machine allows: a canary runs under each launcher, the strongest first, and tests its layers.

Settings of the kernel prove nothing: namespaces may exist and be forbidden, and a requested layer may be missing.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import threading
from pathlib import Path

from django.conf import settings

from . import programs
from .levels import LAYERS, LEVEL_OF_LAUNCHER, LIMITS_ONLY, REQUIRED_LAYERS, Containment
from .run import Program, ProgramResult, run

CANARY = Path(__file__).with_name("canary.py")
MEMORY_MB = 256
TIMEOUT = 10.0  # seconds
_NAMESPACE_KINDS = {
    "user namespace": "user",
    "pid namespace": "pid",
    "network namespace": "net",
    "mount namespace": "mnt",
    "ipc namespace": "ipc",
    "uts namespace": "uts",
}

_lock = threading.Lock()
_cached: tuple[int, Containment] | None = None  # with the pid of the process that it was probed in


def containment() -> Containment:
    """Return the containment of this machine. The first call in a process probes it, which blocks for a moment."""
    global _cached
    with _lock:
        if _cached is None or _cached[0] != os.getpid():
            _cached = (os.getpid(), probe())
        return _cached[1]


def cached() -> Containment | None:
    """Return the containment if this process has probed it already."""
    return _cached[1] if _cached and _cached[0] == os.getpid() else None


def program_user() -> int | None:
    """Return the id of the user that programs run as; None for the worker's own, unless that is root."""
    return settings.BATCH_CODE_USER if os.geteuid() == 0 else None


def probe(launchers: tuple[str, ...] = tuple(LEVEL_OF_LAUNCHER)) -> Containment:
    """Try the launchers in order and return the containment of the first whose layers hold."""
    failures: dict[str, str] = {}
    for launcher in launchers:
        for python in programs.pythons(settings.BATCH_CODE_PYTHON):
            found, reason = _run_canary(launcher, python)
            if found is not None:
                layers = _layers(found)
                lacks = REQUIRED_LAYERS[LEVEL_OF_LAUNCHER[launcher]] - layers
                reason = _leak(launcher, found) or (f"it lacks {', '.join(sorted(lacks))}" if lacks else "")
            if found is None or reason:
                failures.setdefault(launcher, reason)
                continue
            present = [layer for layer in LAYERS if layer in layers]
            if program_user() is not None:
                present.append("own user")
            missing = [layer for layer in LAYERS if layer not in layers]
            return Containment(LEVEL_OF_LAUNCHER[launcher], present, missing, launcher, python, failures)
    python = programs.pythons(settings.BATCH_CODE_PYTHON)[0]
    return Containment(LIMITS_ONLY, [], list(LAYERS), "limits", python, failures)


def _run_canary(launcher: str, python: str) -> tuple[dict | None, str]:
    """Return the canary's findings, or None and the reason why there are none."""
    with tempfile.TemporaryDirectory(prefix="batch-canary-") as folder:
        os.chmod(folder, 0o777)  # access must be denied by a layer, not by file permissions
        secret = Path(folder, "secret")
        secret.write_text("secret")
        secret.chmod(0o666)
        arguments = [str(secret), str(Path(folder, "written")), str(os.getpid())]
        result = asyncio.run(
            run(
                Program(
                    argv=programs.command("python", python, "canary.py", arguments, MEMORY_MB),
                    files={"canary.py": {"text": CANARY.read_text()}},
                    return_files=[],
                    timeout=TIMEOUT,
                    memory_mb=MEMORY_MB,
                    paths=_paths(python),
                ),
                launcher,
                program_user(),
            )
        )
    return _findings(result)


def _paths(python: str) -> list[str]:
    return [*programs.folders_of(python), *settings.BATCH_CODE_PATHS]


def _findings(result: ProgramResult) -> tuple[dict | None, str]:
    if result.ended != "exit" or result.exit_code != 0:
        last = result.stderr.strip().splitlines()[-1:] or [f"{result.ended} {result.exit_code}"]
        return None, result.error or last[0]
    try:
        return json.loads(result.stdout), ""
    except ValueError:
        return None, "the canary's output is not JSON"


def _layers(found: dict) -> set[str]:
    layers = {layer for layer, kind in _NAMESPACE_KINDS.items() if _other_namespace(kind, found["namespaces"][kind])}
    if found["own_process"] and not found["own_process_changed"]:
        layers.add("landlock")
    if found["seccomp"] and not found["internet"]:
        layers.add("seccomp")
    if found["no_new_privs"] and not found["capabilities"]:
        layers.add("no new privileges")
    if found["limits"]["DATA"] == MEMORY_MB * 1024 * 1024 and found["limits"]["NPROC"] > 0:
        layers.add("resource limits")
    if sys.platform == "linux":
        layers.add("memory watchdog")
    return layers


def _other_namespace(kind: str, name: str) -> bool:
    return bool(name) and name != os.readlink(f"/proc/self/ns/{kind}")


def _leak(launcher: str, found: dict) -> str:
    """Return the layers of this launcher that the canary broke; an empty string if all hold."""
    if not found["own_file"] or not found["temporary_file"]:
        return "the program cannot write its own files"
    if launcher == "limits":
        return ""
    leaks = {
        "the program reads foreign files": found["secret"],
        "the program writes outside its folder": found["write"],
        "the program reaches the network": found["internet"],
        "the program may signal the worker": launcher == "restricted" and found["signal"],
        "the program runs as root": found["user"] == 0,
    }
    return "; ".join(leak for leak, is_open in leaks.items() if is_open)
