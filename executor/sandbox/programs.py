"""What a runtime needs to run a text: a program, its arguments, and the name of the file that the text goes into."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence

from executor.domain.errors import SandboxUnavailable

SHELL = next((path for path in ("/bin/bash", "/usr/bin/bash") if os.path.exists(path)), "/bin/sh")
PYTHON = ("-s", "-B")
_MODULE = re.compile(r"^\s*(import\s+[\w*{'\"]|export\s)", re.MULTILINE)  # of JavaScript


def pythons(setting: str) -> list[str]:
    """Interpreters that may start in the sandbox, the best first."""
    if setting:
        return [setting]
    own = os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)
    system = [path for path in ("/usr/bin/python3", "/usr/local/bin/python3") if os.path.exists(path)]
    return [own, *(path for path in system if os.path.realpath(path) != own)]


def node(setting: str) -> str:
    """Node.js. Raises SandboxUnavailable where there is none."""
    found = setting or shutil.which("node") or shutil.which("nodejs")
    if not found:
        raise SandboxUnavailable(
            "Node.js is not installed on this worker. Install it, or name its program in BATCH_CODE_NODE.",
            retryable=False,
        )
    return os.path.realpath(found)


def folders_of(program: str) -> list[str]:
    """The folders that an interpreter needs besides /usr: itself, and what it is a link to."""
    folders = {os.path.dirname(os.path.dirname(path)) for path in (os.path.abspath(program), os.path.realpath(program))}
    return sorted(folders - {"/", "/usr"})


def file_name(runtime: str, code: str, taken: Sequence[str]) -> str:
    """A name for the file with the text, beside the task's own files."""
    name = {"python": "main.py", "terminal": "main.sh", "nodejs": "main.js"}[runtime]
    if runtime == "nodejs" and _MODULE.search(code) and "require(" not in code:
        name = "main.mjs"
    while name in taken:
        name = f"_{name}"
    return name


def command(runtime: str, program: str, file: str, args: Sequence[str], memory_mb: int) -> list[str]:
    """The command line that runs the file."""
    options: tuple[str, ...] = ()
    if runtime == "python":
        options = PYTHON
    elif runtime == "nodejs":
        # It collects garbage before the sandbox's own limit ends it.
        options = (f"--max-old-space-size={max(32, memory_mb * 3 // 4)}",)
    return [program, *options, file, *args]
