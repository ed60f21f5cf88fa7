"""seccomp: the system calls that are denied to a program.

Calls that reach rarely used parts of the kernel, other processes, or past the other layers fail with EPERM; calls newer
than the list of numbers fail with ENOSYS; every other call is allowed.
"""

from __future__ import annotations

import ctypes
import functools
import os
import struct
from typing import NamedTuple

from executor.processes.linux import prctl

from . import bpf
from .syscall_numbers import LAST_KNOWN, number_of
from .syscalls import PR_SET_NO_NEW_PRIVS

AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
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
# They hide memory from the watchdog: the memory that they create belongs to no process.
HIDING_MEMORY = ["clone3", "memfd_create", "memfd_secret"]
# Landlock does not check them: a program with the worker's own user could change the worker's files.
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
    """The rights of a program that its filter depends on.

    `unix_sockets`: no socket of another program is in reach. `shared_pids`: other processes are in reach.
    `shared_files`: the program sees the host's file tree, and may own files in it. `may_signal`, `may_truncate`:
    another layer protects other processes, or their files.
    """

    network: bool = False
    unix_sockets: bool = True
    shared_pids: bool = False
    shared_files: bool = False
    may_signal: bool = True
    may_truncate: bool = True


@functools.cache
def program(policy: Policy, architecture: str, pid: int = 0) -> bytes:
    """Return the filter for a program; `pid` is its process, if it may signal no other.

    Raises KeyError for an unknown architecture.
    """
    filter_program = bpf.instruction(bpf.LOAD, bpf.ARCHITECTURE)
    filter_program += bpf.instruction(bpf.EQUAL, AUDIT[architecture], 1, 0) + bpf.verdict(bpf.KILL)
    filter_program += bpf.instruction(bpf.LOAD, bpf.NUMBER)
    filter_program += bpf.instruction(bpf.GREATER, LAST_KNOWN, 0, 1) + bpf.MISSING
    for name, rule in _rules(policy, pid).items():
        number = number_of(name, architecture)
        if number is not None:
            filter_program += bpf.instruction(bpf.EQUAL, number, 0, len(rule) // bpf.INSTRUCTION_SIZE) + rule
    return filter_program + bpf.PASS


def _rules(policy: Policy, pid: int) -> dict[str, bytes]:
    rules = dict.fromkeys(KERNEL, bpf.DENY)
    rules |= dict.fromkeys(HIDING_MEMORY, bpf.MISSING)
    rules["clone"] = bpf.deny_bits(0, NEW_NAMESPACES)
    rules["personality"] = bpf.allow_only(0, [0, 0xFFFFFFFF])
    rules["ioctl"] = bpf.deny_values(1, [TIOCSTI, TIOCLINUX, FIOSETOWN, SIOCSPGRP])
    rules |= _sockets(policy)
    if policy.shared_pids:
        rules |= _other_processes(policy, pid)
    if policy.shared_files:
        rules |= dict.fromkeys(BY_PATH, bpf.DENY)
        rules["utimensat"] = bpf.allow_null(1)
    if not policy.may_truncate:
        rules["truncate"] = bpf.DENY
    return rules


def _sockets(policy: Policy) -> dict[str, bytes]:
    families = [AF_INET, AF_INET6, AF_NETLINK] if policy.network else []
    if policy.unix_sockets:
        return {"socket": bpf.allow_only(0, [AF_UNIX, *families])}
    # No other layer covers sockets with a path. A datagram socket of a pair could be reconnected to such a path; a
    # stream socket cannot.
    rules = {
        "socket": bpf.allow_only(0, families) if families else bpf.DENY,
        "socketpair": bpf.allow_only(1, [SOCK_STREAM, SOCK_SEQPACKET], SOCK_KIND),
    }
    if not policy.network:
        rules |= {"connect": bpf.DENY, "bind": bpf.DENY, "sendto": bpf.allow_null(4)}
    return rules


def _other_processes(policy: Policy, pid: int) -> dict[str, bytes]:
    own_process = bpf.allow_only(0, [0])
    rules = dict.fromkeys(
        ["prlimit64", "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler"], own_process
    )
    rules |= dict.fromkeys(["setpriority", "ioprio_set"], bpf.allow_only(1, [0]))
    rules["fcntl"] = bpf.deny_values(1, [F_SETOWN, F_SETOWN_EX])  # the owner of a file gets its signals
    if not policy.may_signal:
        rules |= dict.fromkeys(["tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal"], bpf.DENY)
        rules["kill"] = bpf.allow_only(0, [0, pid, -pid & 0xFFFFFFFF])
        rules["tgkill"] = bpf.allow_only(0, [pid])
    return rules


def install(filter_program: bytes) -> None:
    """Install the filter in this process; it cannot be removed. Raises OSError."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    instructions = ctypes.create_string_buffer(filter_program, len(filter_program))
    descriptor = struct.pack("@HP", len(filter_program) // bpf.INSTRUCTION_SIZE, ctypes.addressof(instructions))
    holder = ctypes.create_string_buffer(descriptor, len(descriptor))
    prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(holder))


def as_file(filter_program: bytes) -> int:
    """Return a descriptor from which the filter can be read."""
    descriptor = os.memfd_create("seccomp", 0)
    os.write(descriptor, filter_program)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
