"""Launcher of the level "isolated": new namespaces of processes, mounts, network, users, IPC and host name.

The first process in there (`_init`) builds a file tree of read-only programs and a scratch space in memory, starts the
program and reaps orphans; the namespace ends with it. An ordinary user creates the namespaces in a user namespace. Root
creates the others first, drops its user, and gives the program a user namespace on top.
"""

from __future__ import annotations

import json
import os
import signal
import socket

from executor.processes.linux import prctl, set_death_signal

from . import confine, files, limits, syscalls, visible_paths
from .seccomp import Policy
from .syscalls import MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, MS_REC

OLD = "/old-root"
SCRATCH = "scratch"
ACCOUNTS = {
    "passwd": "sandbox:x:{user}:{group}:sandbox:/job:/bin/sh\n",
    "group": "sandbox:x:{group}:\n",
    "hostname": "sandbox\n",
}


def start(request: dict, streams: tuple[int, int, int]) -> tuple[int, socket.socket]:
    """Start the program; return the pid of the first process and the socket of its status messages.

    The messages carry the folder's descriptor, the exit status, or an error. Raises OSError.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    existing = limits.tasks_of(request["user"] or os.getuid()) if limits.shares_process_counts() else 0
    flags = syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS
    if request["user"] is None:
        flags |= syscalls.CLONE_NEWUSER
    if not request["network"]:
        flags |= syscalls.CLONE_NEWNET
    user, group = os.getuid(), os.getgid()
    pid = syscalls.fork_into(flags)
    if pid:
        theirs.close()
        return pid, ours
    try:
        ours.close()
        _init(request, streams, theirs, user, group, existing)
    except BaseException as error:
        theirs.send(json.dumps({"error": f"{type(error).__name__}: {error}"}).encode())
    os._exit(confine.ENDED_BEFORE_EXEC)


def _init(request: dict, streams, status: socket.socket, user: int, group: int, existing: int) -> None:
    _close_all_but({*streams, status.fileno()})
    set_death_signal()
    confine.prefer_as_oom_victim()
    if request["user"] is None:
        _map_user(user, group)
    else:
        user, group = request["user"], request["group"]
    syscalls.set_hostname("sandbox")
    os.umask(0o022)
    _build_tree(request, user, group)
    os.setsid()
    confine.drop_user(request)
    set_death_signal()  # the kernel forgot it when the user changed
    prctl(syscalls.PR_SET_DUMPABLE, 0)
    files.write("/job", request["files"])
    folder = os.open("/job", os.O_RDONLY | os.O_DIRECTORY)
    socket.send_fds(status, [b'{"folder": true}'], [folder])
    os.close(folder)
    program = os.fork()
    if program == 0:
        _execute(request, streams, status, user, group, existing)
    for stream in streams:
        os.close(stream)
    while True:
        pid, exit_status = os.wait()
        if pid == program:
            status.send(json.dumps({"status": exit_status}).encode())
            os._exit(0)


def _close_all_but(kept: set[int]) -> None:
    signal.set_wakeup_fd(-1)
    low = 0
    for descriptor in sorted(kept):
        os.closerange(low, descriptor)
        low = descriptor + 1
    os.closerange(low, 1 << 20)


def _map_user(user: int, group: int) -> None:
    """Map the user and group to themselves: no others exist in the user namespace."""
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def _execute(request: dict, streams, status: socket.socket, user: int, group: int, existing: int) -> None:
    try:
        confine.take_streams(streams, keep=status.fileno())
        os.setsid()
        if request["user"] is not None:
            prctl(syscalls.PR_SET_DUMPABLE, 1)  # else root owns its map files
            syscalls.unshare(syscalls.CLONE_NEWUSER)
            _map_user(user, group)
        policy = Policy(network=request["network"], unix_sockets=not request["network"])
        confine.execute(
            request,
            request["argv"],
            "/job",
            "/tmp",
            syscalls.drop_capabilities,
            confine.landlock_layer(request, ["/"], ["/job", "/tmp", "/dev/shm"]),
            confine.limits_layer(request, existing),
            confine.seccomp_layer(policy),
        )
    except BaseException as error:
        status.send(json.dumps({"error": f"{type(error).__name__}: {error}"}).encode())
        os._exit(confine.ENDED_BEFORE_EXEC)


# --- the file tree ----------------------------------------------------------------------------------


def _build_tree(request: dict, user: int, group: int) -> None:
    texts = _etc_texts(request, user, group)
    folders = visible_paths.extra(request)
    syscalls.mount("none", "/", None, MS_REC | MS_PRIVATE)
    syscalls.mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=4m,mode=0755")
    os.mkdir("/tmp" + OLD)
    os.chdir("/tmp")
    syscalls.pivot_root(".", "." + OLD)
    os.chdir("/")
    mounts = ["/", *_mount_programs(folders), *_make_etc(texts), *_make_devices()]
    for name in ("proc", "job", "tmp", "dev/shm", SCRATCH):
        os.mkdir(f"/{name}")
    syscalls.unmount(OLD)
    os.rmdir(OLD)
    syscalls.make_readonly(mounts)
    try:
        syscalls.mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    except OSError:
        pass  # a container that masks parts of /proc: the program gets none
    _make_scratch(user, group)


def _etc_texts(request: dict, user: int, group: int) -> dict[str, str]:
    """Return the generated files of /etc. Those of the network are copied: they are often links out of the tree."""
    texts = {name: text.format(user=user, group=group) for name, text in ACCOUNTS.items()}
    for name in visible_paths.ETC_NETWORK if request["network"] else ():
        try:
            with open(f"/etc/{name}", errors="replace") as file:
                texts[name] = file.read(1 << 20)
        except OSError:
            pass  # not every system has all of them
    return texts


def _mount_programs(folders: list[str]) -> list[str]:
    mounts = [_bind("/usr")]
    for name in visible_paths.TOP_FOLDERS:
        if os.path.islink(f"{OLD}/{name}"):
            os.symlink(os.readlink(f"{OLD}/{name}"), f"/{name}")
        elif os.path.isdir(f"{OLD}/{name}"):
            mounts.append(_bind(f"/{name}"))
    return mounts + [_bind(folder) for folder in folders]


def _bind(path: str) -> str:
    """Mount the host's folder or file at the same path, and return the path."""
    source = OLD + path
    if os.path.isdir(source):
        os.makedirs(path, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
    syscalls.mount(source, path, None, MS_BIND | MS_REC)
    return path


def _make_etc(texts: dict[str, str]) -> list[str]:
    os.mkdir("/etc")
    mounts = []
    for name in visible_paths.ETC:
        source = f"{OLD}/etc/{name}"
        if os.path.islink(source):
            target = os.readlink(source)
            if target.startswith("/usr/"):
                os.symlink(target, f"/etc/{name}")
        elif os.path.exists(source):
            mounts.append(_bind(f"/etc/{name}"))
    for name, text in texts.items():
        with open(f"/etc/{name}", "w") as file:
            file.write(text)
    return mounts


def _make_devices() -> list[str]:
    os.mkdir("/dev")
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink(f"/proc/self/fd{target}", f"/dev/{name}")
    return [_bind(path) for path in confine.DEVICES]


def _make_scratch(user: int, group: int) -> None:
    """Mount one bounded tmpfs for everything that the program writes; it vanishes with the namespace."""
    size = f"size={limits.SCRATCH}m,nr_inodes={limits.ENTRIES}"
    syscalls.mount("tmpfs", f"/{SCRATCH}", "tmpfs", MS_NOSUID | MS_NODEV, f"{size},mode=0711")
    for name, path in (("job", "/job"), ("tmp", "/tmp"), ("shm", "/dev/shm")):
        inside = f"/{SCRATCH}/{name}"
        os.mkdir(inside, 0o700)
        os.chown(inside, user, group)
        syscalls.mount(inside, path, None, MS_BIND)
    syscalls.unmount(f"/{SCRATCH}")
