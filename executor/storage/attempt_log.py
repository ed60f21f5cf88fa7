"""The live log of an attempt: written by the worker, read by whoever follows it.

Places in a log are byte offsets of all that was ever written. The head is kept, and the tail in segments of which the
older ones are dropped; what lies between is counted, not kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

HEAD = 256 * 1024  # bytes kept of the beginning
SEGMENT = 128 * 1024  # bytes of one segment of the tail; the last two are kept
PIECE = 64 * 1024  # bytes of one answer


def _folder(batch_id: str) -> Path:
    return Path(settings.BATCH_LOGS) / batch_id


class AttemptLog:
    """Appends to the log of one attempt. The file is made by the first line."""

    def __init__(self, batch_id: str, number: int, attempt: int):
        self._stem = _folder(batch_id) / f"{number}-{attempt}"
        self._size = 0
        self._file = None
        self._room = 0
        self._segments: list[Path] = []

    def write(self, text: str) -> None:
        """Append text. Raises OSError when the disk does not take it."""
        data = text.encode("utf-8", "backslashreplace")
        while data:
            if self._room == 0:
                self._next_file()
            part, data = data[: self._room], data[self._room :]
            self._file.write(part)
            self._file.flush()
            self._size += len(part)
            self._room -= len(part)

    def _next_file(self) -> None:
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

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


@dataclass(frozen=True, slots=True)
class Piece:
    """Text of a log from `start` to `next`; `skipped` bytes before it are not kept."""

    text: str
    start: int
    next: int
    size: int
    skipped: int


def read(batch_id: str, number: int, attempt: int, after: int = 0, limit: int = PIECE) -> Piece:
    """The log of an attempt from byte `after` on; an empty piece where nothing was written."""
    files = []
    for path in sorted(_folder(batch_id).glob(f"{number}-{attempt}.*.log")):
        try:
            files.append((int(path.name.split(".")[1]), path, path.stat().st_size))
        except FileNotFoundError:
            continue  # a segment that was just dropped
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
            data = _whole_characters(data)
        return Piece(data.decode(errors="replace"), begin, begin + len(data), size, begin - after)
    return Piece("", after, after, size, 0)


def _whole_characters(data: bytes) -> bytes:
    """Without a character that is cut at the end; the next piece begins with it."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte < 0x80:
            return data
        if byte >= 0xC0:
            need = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return data[:-back] if back < need and len(data) > back else data
    return data
