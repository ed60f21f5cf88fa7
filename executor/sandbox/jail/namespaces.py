"""Namespaces of its own for a program: processes, files, network, users, names; made by plain system calls.

The first process in there (`_init`) builds a file tree of nothing but read-only programs and a scratch space in memory,
starts the program, collects orphans, and takes everything with it when it ends. For an ordinary user it is made in a
user namespace. Root makes the others first, then drops its user, and the program gets a user namespace on top.
"""

from __future__ import annotations

import json
import os
import signal
import socket

from executor.processes.linux import prctl, set_death_signal

from . import confine, files, limits, system, visible
from .seccomp import Policy
from .system import MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, MS_REC

OLD = "/old-root"
SCRATCH = "scratch"
ACCOUNTS = {
    "passwd": "sandbox:x:{user}:{group}:sandbox:/job:/bin/sh\n",
    "group": "sandbox:x:{group}:\n",
    "hostname": "sandbox\n",
}


def start(order: dict, streams: tuple[int, int, int]) -> tuple[int, socket.socket]:
    """Start the program: the first process's pid, and the line on which it tells its folder, its status or an error.

    Raises OSError.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    more = limits.tasks_of(order["user"] or os.getuid()) if limits.shares_process_counts() else 0
    wanted = system.CLONE_NEWNS | system.CLONE_NEWPID | system.CLONE_NEWIPC | system.CLONE_NEWUTS
    if order["user"] is None:
        wanted |= system.CLONE_NEWUSER
    if not order["network"]:
        wanted |= system.CLONE_NEWNET
    user, group = os.getuid(), os.getgid()
    pid = system.fork_into(wanted)
    if pid:
        theirs.close()
        return pid, ours
    try:
        ours.close()
        _init(order, streams, theirs, user, group, more)
    except BaseException as error:
        theirs.send(json.dumps({"error": f"{type(error).__name__}: {error}"}).encode())
    os._exit(confine.ENDED_BEFORE_EXEC)


def _init(order: dict, streams, told: socket.socket, user: int, group: int, more: int) -> None:
    _close_all_but({*streams, told.fileno()})
    set_death_signal()
    confine.be_first_to_go()
    if order["user"] is None:
        _map_user(user, group)
    else:
        user, group = order["user"], order["group"]
    system.set_hostname("sandbox")
    os.umask(0o022)
    _build(order, user, group)
    os.setsid()
    confine.drop_user(order)
    set_death_signal()  # the kernel forgot it when the user changed
    prctl(system.PR_SET_DUMPABLE, 0)
    files.write("/job", order["files"])
    folder = os.open("/job", os.O_RDONLY | os.O_DIRECTORY)
    socket.send_fds(told, [b'{"folder": true}'], [folder])
    os.close(folder)
    program = os.fork()
    if program == 0:
        _become(order, streams, told, user, group, more)
    for stream in streams:
        os.close(stream)
    while True:
        pid, status = os.wait()
        if pid == program:
            told.send(json.dumps({"status": status}).encode())
            os._exit(0)


def _close_all_but(kept: set[int]) -> None:
    signal.set_wakeup_fd(-1)
    low = 0
    for descriptor in sorted(kept):
        os.closerange(low, descriptor)
        low = descriptor + 1
    os.closerange(low, 1 << 20)


def _map_user(user: int, group: int) -> None:
    """Be the same user within the user namespace: no other exists there."""
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def _become(order: dict, streams, told: socket.socket, user: int, group: int, more: int) -> None:
    try:
        confine.take_streams(streams, keep=told.fileno())
        os.setsid()
        if order["user"] is not None:
            prctl(system.PR_SET_DUMPABLE, 1)  # else its maps are root's
            system.unshare(system.CLONE_NEWUSER)
            _map_user(user, group)
        policy = Policy(network=order["network"], unix_sockets=not order["network"])
        confine.execute(
            order,
            order["argv"],
            "/job",
            "/tmp",
            system.drop_capabilities,
            confine.landlock_wall(order, ["/"], ["/job", "/tmp", "/dev/shm"]),
            confine.limits_wall(order, more),
            confine.seccomp_wall(policy),
        )
    except BaseException as error:
        told.send(json.dumps({"error": f"{type(error).__name__}: {error}"}).encode())
        os._exit(confine.ENDED_BEFORE_EXEC)


# --- the file tree ----------------------------------------------------------------------------------


def _build(order: dict, user: int, group: int) -> None:
    texts = _texts(order, user, group)
    folders = visible.extra(order)
    system.mount("none", "/", None, MS_REC | MS_PRIVATE)
    system.mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=4m,mode=0755")
    os.mkdir("/tmp" + OLD)
    os.chdir("/tmp")
    system.pivot_root(".", "." + OLD)
    os.chdir("/")
    shown = ["/", *_programs(folders), *_etc(texts), *_devices()]
    for name in ("proc", "job", "tmp", "dev/shm", SCRATCH):
        os.mkdir(f"/{name}")
    system.unmount(OLD)
    os.rmdir(OLD)
    system.make_readonly(shown)
    try:
        system.mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    except OSError:
        pass  # a container that hides parts of its own: the program has none then
    _scratch(user, group)


def _texts(order: dict, user: int, group: int) -> dict[str, str]:
    """Small files of /etc; those of the network often are links to where nothing will be."""
    texts = {name: text.format(user=user, group=group) for name, text in ACCOUNTS.items()}
    for name in visible.ETC_NETWORK if order["network"] else ():
        try:
            with open(f"/etc/{name}", errors="replace") as file:
                texts[name] = file.read(1 << 20)
        except OSError:
            pass  # not every system has each
    return texts


def _programs(folders: list[str]) -> list[str]:
    shown = [_show("/usr")]
    for name in visible.TOP:
        if os.path.islink(f"{OLD}/{name}"):
            os.symlink(os.readlink(f"{OLD}/{name}"), f"/{name}")
        elif os.path.isdir(f"{OLD}/{name}"):
            shown.append(_show(f"/{name}"))
    return shown + [_show(folder) for folder in folders]


def _show(path: str) -> str:
    """The host's folder or file at the same place."""
    source = OLD + path
    if os.path.isdir(source):
        os.makedirs(path, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
    system.mount(source, path, None, MS_BIND | MS_REC)
    return path


def _etc(texts: dict[str, str]) -> list[str]:
    os.mkdir("/etc")
    shown = []
    for name in visible.ETC:
        source = f"{OLD}/etc/{name}"
        if os.path.islink(source):
            target = os.readlink(source)
            if target.startswith("/usr/"):
                os.symlink(target, f"/etc/{name}")
        elif os.path.exists(source):
            shown.append(_show(f"/etc/{name}"))
    for name, text in texts.items():
        with open(f"/etc/{name}", "w") as file:
            file.write(text)
    return shown


def _devices() -> list[str]:
    os.mkdir("/dev")
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink(f"/proc/self/fd{target}", f"/dev/{name}")
    return [_show(path) for path in confine.DEVICES]


def _scratch(user: int, group: int) -> None:
    """One space in memory for all that the program writes: it is bounded, and nothing of it is ever left."""
    size = f"size={limits.SCRATCH}m,nr_inodes={limits.ENTRIES}"
    system.mount("tmpfs", f"/{SCRATCH}", "tmpfs", MS_NOSUID | MS_NODEV, f"{size},mode=0711")
    for name, path in (("job", "/job"), ("tmp", "/tmp"), ("shm", "/dev/shm")):
        inside = f"/{SCRATCH}/{name}"
        os.mkdir(inside, 0o700)
        os.chown(inside, user, group)
        system.mount(inside, path, None, MS_BIND)
    system.unmount(f"/{SCRATCH}")
