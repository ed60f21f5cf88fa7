"""Start of a run's program by one of the launchers."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass

from executor.processes.linux import LINUX, die_with_parent, prctl

from . import bubblewrap, confine, files, landlock, limits, namespaces, seccomp, syscalls, visible_paths


@dataclass
class Launch:
    """A program that was started.

    `status` carries JSON messages of the launcher: an error, the exit status, the folder's descriptor. `folder` is the
    descriptor of the folder with the program's files, -1 until it is known.
    """

    pid: int
    status: socket.socket
    folder: int = -1


def start(request: dict, output: int, errors: int, workspace: str) -> Launch:
    """Start the program and close its streams here. `workspace` is the path that `fill_workspace` filled, if any.

    Raises OSError.
    """
    streams = (_stdin(request["stdin"], request["temp"]), output, errors)
    if request["user"] is not None:
        for stream in (output, errors):  # else the program could write to them, but not open /dev/stderr
            os.fchown(stream, request["user"], request["group"])
    if needs_workspace(request):
        launch = _fork(request, streams, workspace)
    else:
        launch = Launch(*namespaces.start(request, streams))
    for stream in streams:
        os.close(stream)
    return launch


def needs_workspace(request: dict) -> bool:
    """Return whether the program's files lie in the host's file system."""
    return request["launcher"] != "namespaces"


def fill_workspace(request: dict, workspace: str) -> None:
    """Create the workspace: the folders `job`, with the program's files, and `tmp`. Raises OSError."""
    os.mkdir(workspace, 0o700)
    for name in ("job", "tmp"):
        os.mkdir(f"{workspace}/{name}", 0o700)
    files.write(f"{workspace}/job", request["files"])
    if request["user"] is not None:
        for place, folders, names in os.walk(workspace):
            for name in [".", *folders, *names]:
                os.chown(f"{place}/{name}", request["user"], request["group"])


def _fork(request: dict, streams: tuple[int, int, int], workspace: str) -> Launch:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = os.open(f"{workspace}/job", os.O_RDONLY | os.O_DIRECTORY)
    parent = os.getpid()
    pid = os.fork()
    if pid:
        theirs.close()
        return Launch(pid, ours, folder)
    try:
        confine.take_streams(streams, keep=theirs.fileno())
        os.setsid()
        confine.prefer_as_oom_victim()
        confine.drop_user(request)
        if not die_with_parent(parent):
            os._exit(confine.ENDED_BEFORE_EXEC)
        _EXECUTE[request["launcher"]](request, workspace)
    except BaseException as error:
        theirs.send(json.dumps({"error": f"{type(error).__name__}: {error}"}).encode())
    os._exit(confine.ENDED_BEFORE_EXEC)


def _stdin(text: str, folder: str) -> int:
    """Return a descriptor that reads this text."""
    if not text:
        return os.open(os.devnull, os.O_RDONLY)
    path = f"{folder}/batch-code-{os.urandom(8).hex()}.in"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(text.encode("utf-8", "surrogatepass"))
        return os.open(path, os.O_RDONLY)
    finally:
        os.unlink(path)


def _execute_restricted(request: dict, workspace: str) -> None:
    abi = landlock.version()
    if not abi:
        raise OSError("this kernel has no Landlock")
    policy = seccomp.Policy(
        network=request["network"],
        unix_sockets=False,
        shared_pids=True,
        shared_files=True,
        may_signal=landlock.scopes_signals(abi),
        may_truncate=abi >= 3,
    )
    writable = [f"{workspace}/job", f"{workspace}/tmp"]
    confine.execute(
        request,
        request["argv"],
        writable[0],
        writable[1],
        confine.landlock_layer(request, visible_paths.on_host(request), writable),
        confine.limits_layer(request, limits.tasks_of(os.getuid())),
        confine.seccomp_layer(policy),
    )


def _execute_with_limits(request: dict, workspace: str) -> None:
    def no_new_privileges() -> None:
        if LINUX:
            prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)

    existing = limits.tasks_of(os.getuid()) if LINUX else 0
    layers = (confine.limits_layer(request, existing), no_new_privileges)
    confine.execute(request, request["argv"], f"{workspace}/job", f"{workspace}/tmp", *layers)


_EXECUTE: dict[str, Callable[[dict, str], None]] = {
    "bubblewrap": bubblewrap.execute,
    "restricted": _execute_restricted,
    "limits": _execute_with_limits,
}
