"""The same layers by bubblewrap, for hosts where only its program may create namespaces."""

from __future__ import annotations

import os

from . import confine, limits, seccomp, syscalls, visible_paths


def command(request: dict, folder: str, filter_descriptor: int) -> list[str]:
    """Return bubblewrap's command line for the request; `folder` is the workspace with `job`."""
    half = str(limits.SCRATCH * 1024 * 1024 // 2)
    argv = [request["bubblewrap"], "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent"]
    argv += ["--new-session", "--hostname", "sandbox", "--seccomp", str(filter_descriptor)]
    if request["network"]:
        argv.append("--share-net")
    argv += ["--ro-bind", "/usr", "/usr"]
    for name in visible_paths.TOP_FOLDERS:
        if os.path.islink(f"/{name}"):
            argv += ["--symlink", os.readlink(f"/{name}"), f"/{name}"]
        else:
            argv += ["--ro-bind-try", f"/{name}", f"/{name}"]
    for name in visible_paths.ETC + (visible_paths.ETC_NETWORK if request["network"] else ()):
        argv += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    for path in visible_paths.extra(request):
        argv += ["--ro-bind", path, path]
    argv += ["--proc", "/proc", "--dev", "/dev", "--size", half, "--tmpfs", "/tmp"]
    argv += ["--size", half, "--tmpfs", "/dev/shm", "--bind", f"{folder}/job", "/job", "--remount-ro", "/"]
    argv += ["--chdir", "/job", "--cap-drop", "ALL", "--"]
    # A new user namespace counts processes from zero: set the limit inside.
    return [*argv, request["prlimit"], f"--nproc={limits.PROCESSES}", "--", *request["argv"]]


def execute(request: dict, folder: str) -> None:
    """Execute bubblewrap, which starts the program. Does not return. Raises OSError."""
    policy = seccomp.Policy(network=request["network"], unix_sockets=not request["network"])
    descriptor = seccomp.as_file(seccomp.program(policy, syscalls.architecture()))
    outside = {**request, "env": {"HOME": "/job", "PWD": "/job", "TMPDIR": "/tmp", **request["env"]}}
    existing = limits.tasks_of(os.getuid())
    confine.execute(
        outside, command(request, folder, descriptor), folder, "/tmp", confine.limits_layer(request, existing)
    )
