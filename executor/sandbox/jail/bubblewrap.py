"""The same walls put up by bubblewrap, for hosts where only its program may make namespaces."""

from __future__ import annotations

import os

from . import confine, limits, seccomp, system, visible


def command(order: dict, folder: str, filter_descriptor: int) -> list[str]:
    """bubblewrap's command line for the order; `folder` holds `job`."""
    half = str(limits.SCRATCH * 1024 * 1024 // 2)
    words = [order["bubblewrap"], "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent"]
    words += ["--new-session", "--hostname", "sandbox", "--seccomp", str(filter_descriptor)]
    if order["network"]:
        words.append("--share-net")
    words += ["--ro-bind", "/usr", "/usr"]
    for name in visible.TOP:
        if os.path.islink(f"/{name}"):
            words += ["--symlink", os.readlink(f"/{name}"), f"/{name}"]
        else:
            words += ["--ro-bind-try", f"/{name}", f"/{name}"]
    for name in visible.ETC + (visible.ETC_NETWORK if order["network"] else ()):
        words += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    for path in visible.extra(order):
        words += ["--ro-bind", path, path]
    words += ["--proc", "/proc", "--dev", "/dev", "--size", half, "--tmpfs", "/tmp"]
    words += ["--size", half, "--tmpfs", "/dev/shm", "--bind", f"{folder}/job", "/job", "--remount-ro", "/"]
    words += ["--chdir", "/job", "--cap-drop", "ALL", "--"]
    # Its user namespace counts processes anew: the limit is set in there.
    return [*words, order["prlimit"], f"--nproc={limits.PROCESSES}", "--", *order["argv"]]


def become(order: dict, folder: str) -> None:
    """Become bubblewrap, which starts the program. Returns never. Raises OSError."""
    policy = seccomp.Policy(network=order["network"], unix_sockets=not order["network"])
    descriptor = seccomp.as_file(seccomp.program(policy, system.architecture()))
    outside = {**order, "env": {"HOME": "/job", "PWD": "/job", "TMPDIR": "/tmp", **order["env"]}}
    more = limits.tasks_of(os.getuid())
    confine.execute(outside, command(order, folder, descriptor), folder, "/tmp", confine.limits_wall(order, more))
