"""What a program prints: read as it comes, its head and tail kept, told live."""

from __future__ import annotations

import asyncio
import codecs
import os
from collections.abc import Callable
from typing import Protocol

KEPT = 32 * 1024  # bytes of the head and of the tail that are kept
READ = 64 * 1024


class Redactor(Protocol):
    """Hides what must not be seen in a text that comes in pieces."""

    def redact_chunk(self, text: str) -> str: ...

    def flush(self) -> str: ...


class Output:
    """One stream of a program, through a pipe whose other end is `writable` until `handed_over`. The redactor hides
    secrets before anything is cut: half a secret would not be known as one."""

    def __init__(self, tell: Callable[[str], None], redactor: Redactor | None = None):
        self._readable, self.writable = os.pipe()
        os.set_blocking(self._readable, False)
        self._tell, self._redactor = tell, redactor
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._head, self._tail, self._size = bytearray(), bytearray(), 0
        self.ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._readable, self._read)

    def handed_over(self) -> None:
        """The program's side has its own copy of the writable end now."""
        if self.writable >= 0:
            os.close(self.writable)
            self.writable = -1

    def close(self) -> None:
        """Read no more, whoever still holds the other end."""
        self.handed_over()
        if self._readable >= 0:
            self._loop.remove_reader(self._readable)
            os.close(self._readable)
            self._readable = -1
            self.ended.set()

    def _read(self) -> None:
        try:
            chunk = os.read(self._readable, READ)
        except BlockingIOError:
            return
        if not chunk:
            rest = self._decoder.decode(b"", final=True)
            if self._redactor is not None:
                rest = self._redactor.redact_chunk(rest) + self._redactor.flush()
                self._keep(rest.encode())
            if rest:
                self._tell(rest)
            self.close()
            return
        text = self._decoder.decode(chunk)
        if self._redactor is not None:
            text = self._redactor.redact_chunk(text)
            chunk = text.encode()
        self._keep(chunk)
        if text:
            self._tell(text)

    def _keep(self, chunk: bytes) -> None:
        self._size += len(chunk)
        room = KEPT - len(self._head)
        if room > 0:
            self._head += chunk[:room]
            chunk_after = chunk[room:]
        else:
            chunk_after = chunk
        self._tail += chunk_after[-KEPT:]
        del self._tail[:-KEPT]

    @property
    def truncated(self) -> bool:
        return self._size > len(self._head) + len(self._tail)

    @property
    def text(self) -> str:
        """What was kept, with a note of what was not."""
        skipped = self._size - len(self._head) - len(self._tail)
        middle = f"\n[… {skipped} bytes not kept …]\n".encode() if skipped else b""
        return (bytes(self._head) + middle + bytes(self._tail)).decode(errors="replace")
