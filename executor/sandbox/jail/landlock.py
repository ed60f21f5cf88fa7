"""Landlock: restrictions on a program's file system, TCP and signals."""

from __future__ import annotations

import ctypes
import os
import stat
import struct

from .syscalls import syscall

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_PATH_BENEATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
MAKE_CHAR, MAKE_BLOCK = 1 << 6, 1 << 11
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
FIRST = (1 << 13) - 1  # the rights of version 1
TCP = 0b11
SCOPES = 0b11  # abstract sockets and signals

READ = EXECUTE | READ_FILE | READ_DIR
ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV


def version() -> int:
    """Return the Landlock ABI version of this kernel; 0 without Landlock."""
    try:
        return syscall(CREATE_RULESET, None, 0, _VERSION, what="landlock_create_ruleset")
    except OSError:
        return 0


def _handled(abi: int) -> int:
    """Return every right of this version: a right that is handled and not granted is denied."""
    return FIRST | (REFER if abi >= 2 else 0) | (TRUNCATE if abi >= 3 else 0) | (IOCTL_DEV if abi >= 5 else 0)


def scopes_signals(abi: int) -> bool:
    """Return whether this version can deny signals to other processes of the same user."""
    return abi >= 6


def restrict(*, read: list[str], write: list[str], use: list[str], network: bool) -> None:
    """Restrict this process to the given paths, and to no TCP without `network`. Requires no-new-privileges.

    It may read and execute below `read`, do everything but create devices below `write`, and read and write the files
    `use`. Paths that do not exist are skipped.

    Raises OSError.
    """
    abi = version()
    handled = _handled(abi)
    attributes = struct.pack("=QQQ", handled, TCP if abi >= 4 and not network else 0, SCOPES if abi >= 6 else 0)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    buffer = ctypes.create_string_buffer(attributes[:size], size)
    ruleset = syscall(CREATE_RULESET, buffer, size, 0, what="landlock_create_ruleset")
    try:
        for paths, rights in (
            (read, READ),
            (write, handled & ~(MAKE_CHAR | MAKE_BLOCK | IOCTL_DEV)),
            (use, READ_FILE | WRITE_FILE),
        ):
            for path in paths:
                _allow(ruleset, path, rights & handled)
        syscall(RESTRICT_SELF, ruleset, 0, what="landlock_restrict_self")
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # a missing path needs no permission
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= ON_FILES
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, place), 12)
        syscall(ADD_RULE, ruleset, _PATH_BENEATH, rule, 0, what=f"landlock_add_rule {path}")
    finally:
        os.close(place)
