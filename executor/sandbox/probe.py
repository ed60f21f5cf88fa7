"""Which level this machine allows: a canary is sent through each launcher, the strongest first, to feel the walls.

Nothing is believed that a setting of the kernel says: namespaces may exist and be forbidden, and a wall that was asked
for may not be there.
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
from .levels import LAYERS, LEVEL_OF, LIMITS_ONLY, NEEDED, Standing
from .run import Finished, Program, run

CANARY = Path(__file__).with_name("canary.py")
MEMORY = 256
PATIENCE = 10.0
_FELT = {
    "user namespace": "user",
    "pid namespace": "pid",
    "network namespace": "net",
    "mount namespace": "mnt",
    "ipc namespace": "ipc",
    "uts namespace": "uts",
}

_lock = threading.Lock()
_known: tuple[int, Standing] | None = None  # the process that it was found in comes first


def standing() -> Standing:
    """What this machine allows; found out once in each process. Takes a moment then: not for an event loop's thread."""
    global _known
    with _lock:
        if _known is None or _known[0] != os.getpid():
            _known = (os.getpid(), probe())
        return _known[1]


def known() -> Standing | None:
    """What was found, if somebody has looked already."""
    return _known[1] if _known and _known[0] == os.getpid() else None


def program_user() -> int | None:
    """The user that programs run as; None for the worker's own, which is the case unless that is root."""
    return settings.BATCH_CODE_USER if os.geteuid() == 0 else None


def probe(launchers: tuple[str, ...] = tuple(LEVEL_OF)) -> Standing:
    """Try these launchers until one holds."""
    why: dict[str, str] = {}
    for launcher in launchers:
        for python in programs.pythons(settings.BATCH_CODE_PYTHON):
            found, reason = _try(launcher, python)
            if found is not None:
                layers = _layers(found)
                lacks = NEEDED[LEVEL_OF[launcher]] - layers
                reason = _leak(launcher, found) or (f"it lacks {', '.join(sorted(lacks))}" if lacks else "")
            if found is None or reason:
                why.setdefault(launcher, reason)
                continue
            shown = [layer for layer in LAYERS if layer in layers]
            if program_user() is not None:
                shown.append("own user")
            missing = [layer for layer in LAYERS if layer not in layers]
            return Standing(LEVEL_OF[launcher], shown, missing, launcher, python, why)
    return Standing(LIMITS_ONLY, [], list(LAYERS), "limits", programs.pythons(settings.BATCH_CODE_PYTHON)[0], why)


def _try(launcher: str, python: str) -> tuple[dict | None, str]:
    """What the canary found, or why it did not come back."""
    with tempfile.TemporaryDirectory(prefix="batch-canary-") as folder:
        os.chmod(folder, 0o777)  # no file permission is to do what a wall should
        secret = Path(folder, "secret")
        secret.write_text("secret")
        secret.chmod(0o666)
        words = [str(secret), str(Path(folder, "written")), str(os.getpid())]
        finished = asyncio.run(
            run(
                Program(
                    argv=programs.command("python", python, "canary.py", words, MEMORY),
                    files={"canary.py": {"text": CANARY.read_text()}},
                    return_files=[],
                    timeout=PATIENCE,
                    memory_mb=MEMORY,
                    paths=_paths(python),
                ),
                launcher,
                program_user(),
            )
        )
    return _findings(finished)


def _paths(python: str) -> list[str]:
    return [*programs.folders_of(python), *settings.BATCH_CODE_PATHS]


def _findings(finished: Finished) -> tuple[dict | None, str]:
    if finished.ended != "exit" or finished.exit_code != 0:
        last = finished.stderr.strip().splitlines()[-1:] or [f"{finished.ended} {finished.exit_code}"]
        return None, finished.error or last[0]
    try:
        return json.loads(finished.stdout), ""
    except ValueError:
        return None, "the canary's words make no sense"


def _layers(found: dict) -> set[str]:
    layers = {layer for layer, kind in _FELT.items() if _other_namespace(kind, found["namespaces"][kind])}
    if found["own_process"] and not found["own_process_changed"]:
        layers.add("landlock")
    if found["seccomp"] and not found["internet"]:
        layers.add("seccomp")
    if found["no_new_privs"] and not found["capabilities"]:
        layers.add("no new privileges")
    if found["limits"]["DATA"] == MEMORY * 1024 * 1024 and found["limits"]["NPROC"] > 0:
        layers.add("resource limits")
    if sys.platform == "linux":
        layers.add("memory watchdog")
    return layers


def _other_namespace(kind: str, name: str) -> bool:
    return bool(name) and name != os.readlink(f"/proc/self/ns/{kind}")


def _leak(launcher: str, found: dict) -> str:
    """A wall of this launcher that the canary went through; empty when all hold."""
    if not found["own_file"] or not found["temporary_file"]:
        return "the program cannot write its own files"
    if launcher == "limits":
        return ""
    leaks = {
        "it reads files of others": found["secret"],
        "it writes where it must not": found["write"],
        "it reaches the network": found["internet"],
        "it may signal the worker": launcher == "restricted" and found["signal"],
        "it runs as root": found["user"] == 0,
    }
    return "; ".join(leak for leak, is_so in leaks.items() if is_so)
