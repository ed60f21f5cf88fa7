"""seccomp: the system calls that a program does not get.

Everything ordinary is allowed; what reaches into the kernel's rarely trodden parts, into other processes or past the
other walls is refused with EPERM. Calls newer than this list do not exist.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import struct
from typing import NamedTuple

from executor.processes.linux import prctl

from .numbers import LAST_KNOWN, number_of
from .system import PR_SET_NO_NEW_PRIVS

AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _AND, _EQUAL, _GREATER, _ANY_BIT, _RETURN = 0x20, 0x54, 0x15, 0x25, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2

NEW_NAMESPACES = 0x7E020080  # every CLONE_NEW… flag
AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
SOCK_STREAM, SOCK_SEQPACKET, SOCK_KIND = 1, 5, 0xF
TIOCSTI, TIOCLINUX, FIOSETOWN, SIOCSPGRP = 0x5412, 0x541C, 0x8901, 0x8902
F_SETOWN, F_SETOWN_EX = 8, 15

KERNEL = [
    "acct",
    "add_key",
    "adjtimex",
    "bpf",
    "chroot",
    "clock_adjtime",
    "clock_settime",
    "delete_module",
    "fanotify_init",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "mbind",
    "migrate_pages",
    "modify_ldt",
    "mount",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "mq_open",
    "msgget",
    "name_to_handle_at",
    "nfsservctl",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pidfd_getfd",
    "pivot_root",
    "process_madvise",
    "process_mrelease",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "request_key",
    "semget",
    "set_mempolicy",
    "setdomainname",
    "sethostname",
    "setns",
    "settimeofday",
    "shmget",
    "swapoff",
    "swapon",
    "syslog",
    "umount2",
    "unshare",
    "userfaultfd",
    "vhangup",
]
# They hide memory from the watchdog: what they make belongs to no process.
MISSING = ["clone3", "memfd_create", "memfd_secret"]
# Landlock does not look at them. Where the program has the worker's own user, they would reach the worker's files.
BY_PATH = [
    "chmod",
    "chown",
    "fchmodat",
    "fchownat",
    "futimesat",
    "lchown",
    "lremovexattr",
    "lsetxattr",
    "removexattr",
    "setxattr",
    "utime",
    "utimes",
]


class Policy(NamedTuple):
    """`unix_sockets`: none of another program is in reach. `shared_pids`: other processes are in reach. `shared_files`:
    the file tree is the host's, and files in it may belong to the program's own user. `may_signal` and `may_truncate`:
    something else keeps it from doing that to others and their files."""

    network: bool = False
    unix_sockets: bool = True
    shared_pids: bool = False
    shared_files: bool = False
    may_signal: bool = True
    may_truncate: bool = True


def _statement(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value & 0xFFFFFFFF)


def _give(verdict: int) -> bytes:
    return _statement(_RETURN, verdict)


DENY = _give(ERRNO | errno.EPERM)
PASS = _give(ALLOW)


def _argument(index: int, high: bool = False) -> bytes:
    return _statement(_LOAD, _ARGUMENTS + 8 * index + 4 * high)


def _allow_only(index: int, values: list[int], mask: int | None = None) -> bytes:
    """Allowed when the argument is one of these."""
    body = _argument(index) + (_statement(_AND, mask) if mask is not None else b"")
    for position, value in enumerate(values):
        body += _statement(_EQUAL, value, len(values) - position, 0)
    return body + DENY + PASS


def _deny_these(index: int, values: list[int]) -> bytes:
    body = _argument(index)
    for position, value in enumerate(values):
        body += _statement(_EQUAL, value, len(values) - position, 0)
    return body + PASS + DENY


def _deny_bits(index: int, bits: int) -> bytes:
    return _argument(index) + _statement(_ANY_BIT, bits, 0, 1) + DENY + PASS


def _only_null(index: int) -> bytes:
    """Allowed when the argument, a pointer, is NULL."""
    return (
        _argument(index)
        + _statement(_EQUAL, 0, 0, 2)
        + _argument(index, high=True)
        + _statement(_EQUAL, 0, 1, 0)
        + DENY
        + PASS
    )


@functools.cache
def program(policy: Policy, architecture: str, pid: int = 0) -> bytes:
    """The filter for a program; `pid` is its process where it may signal no other.

    Raises KeyError for an architecture that is not known.
    """
    start = _statement(_LOAD, _ARCHITECTURE) + _statement(_EQUAL, AUDIT[architecture], 1, 0) + _give(KILL)
    start += _statement(_LOAD, _NUMBER) + _statement(_GREATER, LAST_KNOWN, 0, 1) + _give(ERRNO | errno.ENOSYS)
    rules = b""
    for name, body in _rules(policy, pid).items():
        number = number_of(name, architecture)
        if number is not None:
            rules += _statement(_EQUAL, number, 0, len(body) // 8) + body
    return start + rules + PASS


def _rules(policy: Policy, pid: int) -> dict[str, bytes]:
    rules = dict.fromkeys(KERNEL, DENY)
    rules |= dict.fromkeys(MISSING, _give(ERRNO | errno.ENOSYS))
    rules["clone"] = _deny_bits(0, NEW_NAMESPACES)
    rules["personality"] = _allow_only(0, [0, 0xFFFFFFFF])
    rules["ioctl"] = _deny_these(1, [TIOCSTI, TIOCLINUX, FIOSETOWN, SIOCSPGRP])
    rules |= _sockets(policy)
    if policy.shared_pids:
        rules |= _other_processes(policy, pid)
    if policy.shared_files:
        rules |= dict.fromkeys(BY_PATH, DENY)
        rules["utimensat"] = _only_null(1)
    if not policy.may_truncate:
        rules["truncate"] = DENY
    return rules


def _sockets(policy: Policy) -> dict[str, bytes]:
    families = [AF_INET, AF_INET6, AF_NETLINK] if policy.network else []
    if policy.unix_sockets:
        return {"socket": _allow_only(0, [AF_UNIX, *families])}
    # Sockets have paths, and no wall but this one keeps a program from them. A datagram socket of a pair could be
    # connected to another place; a stream socket cannot.
    rules = {
        "socket": _allow_only(0, families) if families else DENY,
        "socketpair": _allow_only(1, [SOCK_STREAM, SOCK_SEQPACKET], SOCK_KIND),
    }
    if not policy.network:
        rules |= {"connect": DENY, "bind": DENY, "sendto": _only_null(4)}
    return rules


def _other_processes(policy: Policy, pid: int) -> dict[str, bytes]:
    itself = _allow_only(0, [0])
    rules = dict.fromkeys(
        ["prlimit64", "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler"], itself
    )
    rules |= dict.fromkeys(["setpriority", "ioprio_set"], _allow_only(1, [0]))
    rules["fcntl"] = _deny_these(1, [F_SETOWN, F_SETOWN_EX])  # who owns a file gets its signals
    if not policy.may_signal:
        rules |= dict.fromkeys(["tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal"], DENY)
        rules["kill"] = _allow_only(0, [0, pid, -pid & 0xFFFFFFFF])
        rules["tgkill"] = _allow_only(0, [pid])
    return rules


def install(filter_program: bytes) -> None:
    """Put the filter on this process, for good. Raises OSError."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    instructions = ctypes.create_string_buffer(filter_program, len(filter_program))
    described = struct.pack("@HP", len(filter_program) // 8, ctypes.addressof(instructions))
    holder = ctypes.create_string_buffer(described, len(described))
    prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(holder))


def as_file(filter_program: bytes) -> int:
    """A descriptor that the filter can be read from."""
    descriptor = os.memfd_create("seccomp", 0)
    os.write(descriptor, filter_program)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
