"""The live log of an attempt: written by its worker, followed by pages and API.

Positions are byte offsets of all that was ever written. The head is kept, and the tail in segments of which the older
ones are deleted; the bytes between are counted, not kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from .paths import log_stem

HEAD = 256 * 1024  # bytes kept of the beginning
SEGMENT = 128 * 1024  # bytes of one segment of the tail; the last two are kept
PIECE = 64 * 1024  # bytes of one answer


class AttemptLog:
    """The writer of one attempt's log. The first write creates the file."""

    def __init__(self, batch_id: UUID, number: int, attempt: int):
        self._stem = log_stem(batch_id, number, attempt)
        self._size = 0
        self._file: BinaryIO | None = None
        self._room = 0  # bytes that the current file still takes
        self._segments: list[Path] = []

    def write(self, text: str) -> None:
        """Append text.

        Raises OSError when the disk is full or the folder cannot be written.
        """
        data = text.encode("utf-8", "backslashreplace")
        while data:
            file = self._file if self._file is not None and self._room else self._next_file()
            part = data[: self._room]
            if len(part) < len(data):
                part = _whole_characters(part)  # a segment that is deleted must not take half a character along
                self._room = len(part)
            file.write(part)
            file.flush()
            data = data[len(part) :]
            self._size += len(part)
            self._room -= len(part)

    def _next_file(self) -> BinaryIO:
        self.close()
        self._stem.parent.mkdir(parents=True, exist_ok=True)
        path = self._stem.with_name(f"{self._stem.name}.{self._size:015d}.log")
        self._file = path.open("ab")
        self._room = HEAD if self._size == 0 else SEGMENT
        if self._size:
            self._segments.append(path)
            for old in self._segments[:-2]:
                old.unlink(missing_ok=True)
            del self._segments[:-2]
        return self._file

    def close(self) -> None:
        """Close the file; a later write would begin the next one."""
        if self._file is not None:
            self._file.close()
            self._file = None


@dataclass(frozen=True, slots=True)
class Piece:
    """Text of a log from offset `start` to `next`; `skipped` bytes before it are not kept."""

    text: str
    start: int
    next: int
    size: int
    skipped: int


def read(batch_id: UUID, number: int, attempt: int, after: int = 0, limit: int = PIECE) -> Piece:
    """Return the log of an attempt from byte `after` on; an empty piece where nothing was written."""
    stem = log_stem(batch_id, number, attempt)
    files = []
    for path in sorted(stem.parent.glob(f"{stem.name}.*.log")):
        try:
            files.append((int(path.name.split(".")[1]), path, path.stat().st_size))
        except FileNotFoundError:
            continue  # the segment was deleted during the read
    size = files[-1][0] + files[-1][2] if files else 0
    for start, path, length in files:
        if start + length <= after:
            continue
        begin = max(after, start)
        try:
            with path.open("rb") as file:
                file.seek(begin - start)
                data = file.read(limit)
        except FileNotFoundError:
            continue
        if begin + len(data) < size:
            data = _whole_characters(data) or data
        return Piece(data.decode(errors="replace"), begin, begin + len(data), size, begin - after)
    return Piece("", after, after, size, 0)


def _whole_characters(data: bytes) -> bytes:
    """Return the data without a UTF-8 character cut off at its end; the next piece begins with it."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte < 0x80:
            return data
        if byte >= 0xC0:
            need = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return data[:-back] if back < need else data
    return data
