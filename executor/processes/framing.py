"""Messages on a byte stream: each is its length, four bytes in network order, and that many bytes."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

CHUNK = 65_536  # bytes of one read
MAX_SIZE = 2**32 - 1  # bytes of one message

_LENGTH = struct.Struct("!I")


class MessageTooLarge(ValueError):
    """The length of an incoming message is above the limit."""


def pack(body: bytes) -> bytes:
    """Return the message as it is written to the stream."""
    return _LENGTH.pack(len(body)) + body


class Decoder:
    """Splits the bytes of a stream into messages, without reading it."""

    def __init__(self, max_size: int = MAX_SIZE):
        self._max_size = max_size
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the messages that are complete with these bytes. Raises MessageTooLarge."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._buffer)
            if size > self._max_size:
                raise MessageTooLarge(f"a message of {size} bytes; at most {self._max_size} are allowed")
            end = _LENGTH.size + size
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            yield body


def messages(receive: Callable[[int], bytes]) -> Iterator[bytes]:
    """Yield the messages of a stream until its end. `receive` blocks for up to that many bytes; none is the end."""
    decoder = Decoder()
    while data := receive(CHUNK):
        yield from decoder.feed(data)
