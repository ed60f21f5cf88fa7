"""The combined log of many processes: whole lines, each with an aligned prefix."""

import os
import select
from collections import deque

MAX_BUFFERED_LINES = 2000  # for a terminal that does not read
MAX_LINE = 16_384  # bytes


class Log:
    """Non-blocking writer to a file descriptor: a stopped terminal must not stop the supervisor."""

    def __init__(self, fd: int = 1):
        self.fd = fd
        self.width = 0
        self._lines: deque[bytes] = deque()
        self._rest = b""
        self._dropped = 0

    def reserve_prefix(self, name: str) -> None:
        """Widen the prefix to fit this name."""
        self.width = max(self.width, len(name))

    def line(self, name: str, text: str) -> None:
        """Write a line of a process, or about it."""
        self._add(f"{name:<{self.width}} | {text}")

    def plain(self, text: str) -> None:
        """Write a line without a prefix."""
        self._add(text)

    def _add(self, text: str) -> None:
        if len(self._lines) >= MAX_BUFFERED_LINES:
            self._lines.popleft()
            self._dropped += 1
        self._lines.append(text.encode("utf-8", "replace") + b"\n")
        self.flush()

    def flush(self, timeout: float = 0) -> None:
        """Write what the reader accepts; wait up to `timeout` seconds for each piece."""
        while self._rest or self._lines:
            if not self._rest:
                if self._dropped:
                    self._rest = b"... %d lines were dropped because nothing read them\n" % self._dropped
                    self._dropped = 0
                else:
                    self._rest = self._lines.popleft()
            if not select.select([], [self.fd], [], timeout)[1]:
                return
            try:
                # A pipe that is ready accepts this many bytes without blocking.
                written = os.write(self.fd, self._rest[: select.PIPE_BUF])
            except OSError:  # the reader is gone
                self._lines.clear()
                self._rest = b""
                return
            self._rest = self._rest[written:]


class LineSplitter:
    """Splits the output of a process into lines."""

    def __init__(self):
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that are complete with these bytes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE:
            lines.append(self._rest)
            self._rest = b""
        return [_text(line) for line in lines]

    def end(self) -> list[str]:
        """Return the last line, if it has no line break."""
        rest, self._rest = self._rest, b""
        return [_text(rest)] if rest else []


def _text(line: bytes) -> str:
    return line.rstrip(b"\r").decode("utf-8", "replace")
