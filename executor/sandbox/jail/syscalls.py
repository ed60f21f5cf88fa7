"""System calls for which Python has no function."""

from __future__ import annotations

import ctypes
import functools
import os
import struct

from executor.processes.linux import prctl

SYS_CAPSET = {"x86_64": 126, "aarch64": 91}
SYS_CLONE = {"x86_64": 56, "aarch64": 220}
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
SYS_MOUNT_SETATTR = 442  # numbers from 424 on are the same on every architecture

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
_PRESERVED = MS_NODEV | MS_NOEXEC | 1024 | 2048  # noatime, nodiratime
_MS_RELATIME, _ST_RELATIME = 1 << 21, 4096

_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


@functools.cache
def architecture() -> str:
    """Return the kernel's name of this architecture, like `x86_64` or `aarch64`."""
    return os.uname().machine


def _checked(result: int, what: str) -> int:
    """Return the result of a call. Raises OSError for a negative one."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def syscall(number: int, *arguments, what: str) -> int:
    """Make a system call by its number. Integers are passed as longs. Raises OSError."""
    passed = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    _libc.syscall.restype = ctypes.c_long
    return _checked(_libc.syscall(ctypes.c_long(number), *passed), what)


def fork_into(namespaces: int) -> int:
    """Fork a child into new namespaces; return 0 in the child. The caller must have a single thread."""
    sigchld = 17
    return syscall(SYS_CLONE[architecture()], namespaces | sigchld, 0, 0, 0, 0, what="clone")


def unshare(namespaces: int) -> None:
    """Move this process into new namespaces. Raises OSError."""
    _checked(_libc.unshare(ctypes.c_int(namespaces)), "unshare")


def mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    """Call mount(2). Raises OSError."""
    kind_bytes = kind.encode() if kind else None
    result = _libc.mount(
        os.fsencode(source), os.fsencode(target), kind_bytes, ctypes.c_ulong(flags), data.encode() or None
    )
    _checked(result, f"mount {target}")


def unmount(target: str) -> None:
    """Detach a mount, even when it is in use. Raises OSError."""
    _checked(_libc.umount2(os.fsencode(target), MNT_DETACH), f"umount {target}")


def make_readonly(mounts: list[str]) -> None:
    """Make mounts read-only and ignore set-user-id bits there. The first mount contains the others.

    Raises OSError.
    """
    attributes = ctypes.create_string_buffer(struct.pack("=QQQQ", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0, 0, 0), 32)
    try:
        syscall(
            SYS_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(mounts[0]), AT_RECURSIVE, attributes, 32, what="mount_setattr"
        )
    except OSError:
        for path in mounts:  # Linux before 5.12: one by one
            flags = os.statvfs(path).f_flag  # a user namespace may not remove any
            preserved = flags & _PRESERVED | (_MS_RELATIME if flags & _ST_RELATIME else 0)
            mount("none", path, None, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | preserved)


def pivot_root(new: str, old: str) -> None:
    """Call pivot_root(2). Raises OSError."""
    syscall(SYS_PIVOT_ROOT[architecture()], os.fsencode(new), os.fsencode(old), what="pivot_root")


def set_hostname(name: str) -> None:
    """Call sethostname(2). Raises OSError."""
    _checked(_libc.sethostname(name.encode(), ctypes.c_size_t(len(name))), "sethostname")


def drop_capabilities() -> None:
    """Drop every capability. With no-new-privileges no later exec regains one. Raises OSError."""
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), 8)
    nothing = ctypes.create_string_buffer(24)
    syscall(SYS_CAPSET[architecture()], header, nothing, what="capset")
