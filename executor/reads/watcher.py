"""The position of a reader in the stream of a batch, and the merged frames that it gets."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

MAX_MERGED = 5_000  # tasks whose changes are pending for a watcher


@dataclass
class Update:
    """Frames `first` to `seq`, merged. After a `snapshot` earlier changes are unknown: read the rows again.

    Watchers share their updates, which must not be changed. `text` keeps the serialized form for all of them.
    """

    seq: int
    first: int = 0
    at: str = ""
    changes: dict[int, list] = field(default_factory=dict)
    batch: dict = field(default_factory=dict)
    snapshot: bool = False
    text: str = ""

    def then(self, later: Update) -> Update:
        """Return both as one update.

        One with too many changes becomes a snapshot: reading the rows again is cheaper for the page, and the pending
        changes of slow watchers cannot fill the memory.
        """
        changes = self.changes | later.changes
        if self.snapshot or later.snapshot or len(changes) > MAX_MERGED:
            return replace(later, snapshot=True, changes={}, text="")
        return replace(later, first=self.first, changes=changes, text="")


class Watcher:
    """The position of one reader in the stream of a batch."""

    def __init__(self) -> None:
        self.seq = 0  # the last frame that the reader has received
        self._given = 0  # the last frame that it has received, or will receive with its next update
        self._pending: Update | None = None
        self._news = asyncio.Event()

    def begin(self, after: int | None, first: Update) -> None:
        """Start with the frames read for this reader, which has everything up to frame `after`.

        The pump may have given updates already; their newer frames follow.
        """
        early, self._pending = self._pending, None
        self._news.clear()
        self.seq = self._given = first.seq if after is None or first.snapshot else after
        if first.snapshot or first.seq > self.seq:
            self._add(first)
        if early is not None:
            self.give(early)

    def give(self, update: Update) -> None:
        """Add an update to the pending one, without the frames that the reader has already.

        The pump may lag behind the frame at which the reader started.
        """
        if update.seq <= self._given:
            return
        if update.first <= self._given and not update.snapshot:
            update = replace(update, first=self._given + 1, text="")
        self._add(update)

    def _add(self, update: Update) -> None:
        self._given = update.seq
        self._pending = update if self._pending is None else self._pending.then(update)
        self._news.set()

    async def next(self, timeout: float) -> Update | None:
        """Return the changes since the last call; None after `timeout` seconds without any."""
        try:
            async with asyncio.timeout(timeout):
                await self._news.wait()
        except TimeoutError:
            return None
        self._news.clear()
        update, self._pending = self._pending, None
        if update is not None:
            self.seq = update.seq
        return update
