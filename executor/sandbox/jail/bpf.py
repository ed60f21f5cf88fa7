"""Instructions of classic BPF programs that filter system calls.

A rule is a sequence of instructions that ends with DENY or PASS on every path.
"""

from __future__ import annotations

import errno
import struct

ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
LOAD, AND, EQUAL, GREATER, ANY_BIT, RETURN = 0x20, 0x54, 0x15, 0x25, 0x45, 0x06
# Offsets in struct seccomp_data.
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16

INSTRUCTION_SIZE = 8  # bytes


def instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """Encode one instruction. The jumps count the instructions to skip."""
    return struct.pack("=HBBI", code, if_true, if_false, value & 0xFFFFFFFF)


def verdict(value: int) -> bytes:
    """Return the instruction that ends the program with this verdict."""
    return instruction(RETURN, value)


DENY = verdict(ERRNO | errno.EPERM)
MISSING = verdict(ERRNO | errno.ENOSYS)
PASS = verdict(ALLOW)


def _load_argument(index: int, high: bool = False) -> bytes:
    return instruction(LOAD, ARGUMENTS + 8 * index + 4 * high)


def allow_only(index: int, values: list[int], mask: int | None = None) -> bytes:
    """Return the rule that allows the call only if the argument, after the mask, is one of the values."""
    rule = _load_argument(index) + (instruction(AND, mask) if mask is not None else b"")
    for position, value in enumerate(values):
        rule += instruction(EQUAL, value, len(values) - position, 0)
    return rule + DENY + PASS


def deny_values(index: int, values: list[int]) -> bytes:
    """Return the rule that denies the call if the argument is one of the values."""
    rule = _load_argument(index)
    for position, value in enumerate(values):
        rule += instruction(EQUAL, value, len(values) - position, 0)
    return rule + PASS + DENY


def deny_bits(index: int, bits: int) -> bytes:
    """Return the rule that denies the call if the argument has any of the bits."""
    return _load_argument(index) + instruction(ANY_BIT, bits, 0, 1) + DENY + PASS


def allow_null(index: int) -> bytes:
    """Return the rule that allows the call only if the argument, a pointer, is NULL."""
    return (
        _load_argument(index)
        + instruction(EQUAL, 0, 0, 2)
        + _load_argument(index, high=True)
        + instruction(EQUAL, 0, 1, 0)
        + DENY
        + PASS
    )
