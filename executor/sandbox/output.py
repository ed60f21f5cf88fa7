"""Output of a program: read as it comes, passed on live, its head and tail kept."""

from __future__ import annotations

import asyncio
import codecs
import os
from collections.abc import Callable
from typing import Protocol

KEPT = 32 * 1024  # bytes kept of the head, and of the tail
READ_SIZE = 64 * 1024  # bytes


class Redactor(Protocol):
    """Hides secrets in a text that comes in chunks."""

    def redact_chunk(self, chunk: str) -> str: ...

    def flush(self) -> str: ...


class Output:
    """One output stream of a program: a pipe, whose other end is `writable` until `close_writable`.

    The redactor is applied before the text is split or cut, because a part of a secret would not match.
    """

    def __init__(self, on_text: Callable[[str], None], redactor: Redactor | None = None):
        self._readable, self.writable = os.pipe()
        os.set_blocking(self._readable, False)
        self._on_text, self._redactor = on_text, redactor
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._head, self._tail, self._size = bytearray(), bytearray(), 0
        self.ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._readable, self._read)

    def close_writable(self) -> None:
        """Close our copy of the writable end, once the program's side has its own."""
        if self.writable >= 0:
            os.close(self.writable)
            self.writable = -1

    def close(self) -> None:
        """Stop reading, even if a process still holds the other end."""
        self.close_writable()
        if self._readable >= 0:
            self._loop.remove_reader(self._readable)
            os.close(self._readable)
            self._readable = -1
            self.ended.set()

    def _read(self) -> None:
        try:
            chunk = os.read(self._readable, READ_SIZE)
        except BlockingIOError:
            return
        if not chunk:
            rest = self._decoder.decode(b"", final=True)
            if self._redactor is not None:
                rest = self._redactor.redact_chunk(rest) + self._redactor.flush()
                self._keep(rest.encode())
            if rest:
                self._on_text(rest)
            self.close()
            return
        text = self._decoder.decode(chunk)
        if self._redactor is not None:
            text = self._redactor.redact_chunk(text)
            chunk = text.encode()
        self._keep(chunk)
        if text:
            self._on_text(text)

    def _keep(self, chunk: bytes) -> None:
        self._size += len(chunk)
        room = max(0, KEPT - len(self._head))
        self._head += chunk[:room]
        self._tail += chunk[room:][-KEPT:]
        del self._tail[:-KEPT]

    @property
    def truncated(self) -> bool:
        """Whether a part between head and tail was dropped."""
        return self._dropped > 0

    @property
    def text(self) -> str:
        """Head and tail, with a note of the bytes that were dropped between them."""
        note = f"\n[… {self._dropped} bytes not kept …]\n".encode() if self._dropped else b""
        return (bytes(self._head) + note + bytes(self._tail)).decode(errors="replace")

    @property
    def _dropped(self) -> int:
        return self._size - len(self._head) - len(self._tail)
