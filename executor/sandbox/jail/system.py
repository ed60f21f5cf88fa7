"""The system calls that Python has no function for."""

from __future__ import annotations

import ctypes
import functools
import os
import struct

from executor.processes.linux import prctl

SYS_CAPSET = {"x86_64": 126, "aarch64": 91}
SYS_CLONE = {"x86_64": 56, "aarch64": 220}
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
SYS_MOUNT_SETATTR = 442  # from 424 on a number is the same everywhere

PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2
AT_RECURSIVE = 0x8000
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID = 1, 2
_AT_FDCWD = -100
_KEPT = MS_NODEV | MS_NOEXEC | 1024 | 2048  # noatime, nodiratime
_MS_RELATIME, _ST_RELATIME = 1 << 21, 4096

_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


@functools.cache
def architecture() -> str:
    """`x86_64`, `aarch64`, or whatever else the kernel says."""
    return os.uname().machine


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def syscall(number: int, *arguments, what: str) -> int:
    """A system call by its number. Integers are passed as longs. Raises OSError."""
    passed = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    _libc.syscall.restype = ctypes.c_long
    return _checked(_libc.syscall(ctypes.c_long(number), *passed), what)


def fork_into(namespaces: int) -> int:
    """A fork whose child starts in new namespaces; 0 in the child. The caller must have one thread only."""
    sigchld = 17
    return syscall(SYS_CLONE[architecture()], namespaces | sigchld, 0, 0, 0, 0, what="clone")


def unshare(namespaces: int) -> None:
    """Raises OSError."""
    _checked(_libc.unshare(ctypes.c_int(namespaces)), "unshare")


def mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    """Raises OSError."""
    kind_bytes = kind.encode() if kind else None
    result = _libc.mount(
        os.fsencode(source), os.fsencode(target), kind_bytes, ctypes.c_ulong(flags), data.encode() or None
    )
    _checked(result, f"mount {target}")


def unmount(target: str) -> None:
    """Take a mount away now, whoever still uses it. Raises OSError."""
    _checked(_libc.umount2(os.fsencode(target), MNT_DETACH), f"umount {target}")


def make_readonly(mounts: list[str]) -> None:
    """`mounts`, of which the first is above the others, become read-only and without setuid programs.

    Raises OSError.
    """
    wanted = ctypes.create_string_buffer(struct.pack("=QQQQ", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0, 0, 0), 32)
    try:
        syscall(SYS_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(mounts[0]), AT_RECURSIVE, wanted, 32, what="mount_setattr")
    except OSError:
        for path in mounts:  # before Linux 5.12: one by one
            flags = os.statvfs(path).f_flag  # of which a user namespace may take none away
            kept = flags & _KEPT | (_MS_RELATIME if flags & _ST_RELATIME else 0)
            mount("none", path, None, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | kept)


def pivot_root(new: str, old: str) -> None:
    """Raises OSError."""
    syscall(SYS_PIVOT_ROOT[architecture()], os.fsencode(new), os.fsencode(old), what="pivot_root")


def set_hostname(name: str) -> None:
    """Raises OSError."""
    _checked(_libc.sethostname(name.encode(), ctypes.c_size_t(len(name))), "sethostname")


def drop_capabilities() -> None:
    """Give up every capability. With no-new-privileges nothing that is executed later gets one back."""
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), 8)
    nothing = ctypes.create_string_buffer(24)
    syscall(SYS_CAPSET[architecture()], header, nothing, what="capset")
