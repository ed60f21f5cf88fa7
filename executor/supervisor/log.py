"""One log of many processes: whole lines, each with an aligned prefix."""

import os
import select
from collections import deque

HELD = 2000  # lines kept for a terminal that does not read
LONGEST = 16_384  # bytes of a line before it is cut


class Log:
    """Writes to a file descriptor without ever waiting for it: a stopped terminal must not stop the supervisor."""

    def __init__(self, fd: int = 1):
        self.fd = fd
        self.width = 0
        self._lines: deque[bytes] = deque()
        self._rest = b""
        self._dropped = 0

    def expect(self, name: str) -> None:
        """Make room for this name in the prefix."""
        self.width = max(self.width, len(name))

    def line(self, name: str, text: str) -> None:
        """A line of one of the processes, or about it."""
        self._add(f"{name:<{self.width}} | {text}")

    def plain(self, text: str) -> None:
        """A line for the person who started all this."""
        self._add(text)

    def _add(self, text: str) -> None:
        if len(self._lines) >= HELD:
            self._lines.popleft()
            self._dropped += 1
        self._lines.append(text.encode("utf-8", "replace") + b"\n")
        self.flush()

    def flush(self, seconds: float = 0) -> None:
        """Write what the reader takes now; wait for it at most `seconds` a piece."""
        while self._rest or self._lines:
            if not self._rest:
                if self._dropped:
                    self._rest = b"... %d lines were not read and are left out\n" % self._dropped
                    self._dropped = 0
                else:
                    self._rest = self._lines.popleft()
            if not select.select([], [self.fd], [], seconds)[1]:
                return
            try:
                # A pipe that is ready takes this many bytes at once.
                written = os.write(self.fd, self._rest[: select.PIPE_BUF])
            except OSError:  # nobody reads any more: go on without
                self._lines.clear()
                self._rest = b""
                return
            self._rest = self._rest[written:]


class Lines:
    """Cuts the bytes that a process writes into lines."""

    def __init__(self):
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST:
            lines.append(self._rest)
            self._rest = b""
        return [_text(line) for line in lines]

    def end(self) -> list[str]:
        rest, self._rest = self._rest, b""
        return [_text(rest)] if rest else []


def _text(line: bytes) -> str:
    return line.rstrip(b"\r").decode("utf-8", "replace")
