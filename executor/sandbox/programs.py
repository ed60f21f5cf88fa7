"""Command lines of the runtimes: the interpreter, its options, and the name of the source file."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence

from executor.domain.errors import SandboxUnavailable

SHELL = next((path for path in ("/bin/bash", "/usr/bin/bash") if os.path.exists(path)), "/bin/sh")
PYTHON_OPTIONS = ("-s", "-B")
_ES_MODULE = re.compile(r"^\s*(import\s+[\w*{'\"]|export\s)", re.MULTILINE)


def pythons(setting: str) -> list[str]:
    """Return the interpreters that may start in the sandbox, the preferred first."""
    if setting:
        return [setting]
    own = base_interpreter()
    system = [path for path in ("/usr/bin/python3", "/usr/local/bin/python3") if os.path.exists(path)]
    return [own, *(path for path in system if os.path.realpath(path) != own)]


def base_interpreter() -> str:
    """Return the path of the interpreter that runs this process, outside of its virtual environment."""
    executable = os.path.realpath(sys.executable)
    if sys.prefix != sys.base_prefix:
        # The environment may hold a copy instead of a link; the base installation then has it under its own name.
        installed = os.path.join(sys.base_exec_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")
        if os.path.exists(installed):
            return os.path.realpath(installed)
    return executable


def node(setting: str) -> str:
    """Return the path of Node.js. Raises SandboxUnavailable if there is none."""
    found = setting or shutil.which("node") or shutil.which("nodejs")
    if not found:
        raise SandboxUnavailable(
            "Node.js is not installed on this worker. Install it, or set BATCH_CODE_NODE to its path.",
            retryable=False,
        )
    return os.path.realpath(found)


def folders_of(program: str) -> list[str]:
    """Return the folders that an interpreter needs besides /usr: its own, and the target's if it is a link."""
    folders = {os.path.dirname(os.path.dirname(path)) for path in (os.path.abspath(program), os.path.realpath(program))}
    return sorted(folders - {"/", "/usr"})


def file_name(runtime: str, code: str, taken: Sequence[str]) -> str:
    """Return a name for the source file that no file of the task has."""
    name = {"python": "main.py", "terminal": "main.sh", "nodejs": "main.js"}[runtime]
    if runtime == "nodejs" and _ES_MODULE.search(code) and "require(" not in code:
        name = "main.mjs"
    while name in taken:
        name = f"_{name}"
    return name


def command(runtime: str, program: str, file: str, args: Sequence[str], memory_mb: int) -> list[str]:
    """Return the command line that runs the source file."""
    options: tuple[str, ...] = ()
    if runtime == "python":
        options = PYTHON_OPTIONS
    elif runtime == "nodejs":
        # Node.js collects garbage before the sandbox's memory limit kills it.
        options = (f"--max-old-space-size={max(32, memory_mb * 3 // 4)}",)
    return [program, *options, file, *args]
