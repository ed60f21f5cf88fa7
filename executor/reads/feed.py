"""The log as a stream: read once by this process, given to everybody who watches.

A pump per watched batch waits for the bell, or a second, reads the new frames and adds them to each watcher's update.
A watcher that is slow gets one larger update instead of many: the last change of each task, and the latest counts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from weakref import WeakKeyDictionary

import orjson
from channels.layers import get_channel_layer
from django.db import DatabaseError, InterfaceError, connection

from executor.broker import notifier
from executor.db.dialect import database_now, hex_of

from . import lists

logger = logging.getLogger(__name__)

LOOK = 1.0  # seconds after which a reader looks by itself: the bell may be lost
GAP = 0.1  # seconds between two updates of a batch
FAREWELL = 2.0  # seconds a cancelled task gets to put away what it holds
REPLAY_BYTES = 512 * 1024  # of missed frames that are replayed; a watcher that missed more starts anew
MERGED = 5_000  # tasks whose changes wait for a watcher


@dataclass
class Update:
    """Frames `first` to `seq`, merged. `snapshot` says that what came before is unknown: read the rows again.

    Watchers share their updates: nobody changes one. `text` is for whoever spells it, so that it is done once.
    """

    seq: int
    first: int = 0
    at: str = ""
    changes: dict[int, list] = field(default_factory=dict)
    batch: dict = field(default_factory=dict)
    snapshot: bool = False
    text: str = ""

    def then(self, later: Update) -> Update:
        """Both as one. What grew too large is a snapshot: a page that reads its rows again is better off, and so are
        we, who would keep all of it for every page that does not read."""
        changes = self.changes | later.changes
        if self.snapshot or later.snapshot or len(changes) > MERGED:
            return replace(later, snapshot=True, changes={}, text="")
        return replace(later, first=self.first, changes=changes, text="")


class Watcher:
    """One reader's place in the stream of a batch."""

    def __init__(self):
        self.seq = 0  # up to here the reader has everything
        self._given = 0  # and up to here it has got, or will get with its next update
        self._pending: Update | None = None
        self._news = asyncio.Event()

    def begin(self, after: int | None, first: Update) -> None:
        """Start with what was read for this reader alone, who knows everything up to frame `after`. The pump may have
        given something already; what of it is newer follows."""
        early, self._pending = self._pending, None
        self._news.clear()
        self.seq = self._given = first.seq if after is None or first.snapshot else after
        if first.snapshot or first.seq > self.seq:
            self._add(first)
        if early is not None:
            self.give(early)

    def give(self, update: Update) -> None:
        """Add an update to what the reader will get next. The pump may be behind what the reader started with: of its
        update only what the reader does not know counts."""
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
        """Everything new since the last call; None when nothing came in `timeout` seconds."""
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


class Feed:
    """All pumps of one event loop."""

    def __init__(self):
        self._pumps: dict[str, asyncio.Task] = {}
        self._watchers: dict[str, set[Watcher]] = {}
        self._reader = ThreadPoolExecutor(1, "feed")  # one thread, one connection
        self._list: tuple[asyncio.Task, set[asyncio.Queue]] | None = None

    @property
    def crowd(self) -> int:
        """How many watch a batch, any batch."""
        return sum(map(len, self._watchers.values()))

    async def read(self, function: Callable, *args) -> Any:
        """Call a reading function in the feed's own thread."""
        return await asyncio.get_running_loop().run_in_executor(self._reader, _with_connection, function, *args)

    @asynccontextmanager
    async def watch(self, batch_id: str, after: int | None = None) -> AsyncIterator[Watcher]:
        """Watch a batch from frame `after` on; without it, or when too much was missed, the first update is a snapshot.

        Raises NotFound.
        """
        key = hex_of(batch_id)
        watcher = Watcher()
        # Registered before the first read, so that nothing falls between the two.
        self._watchers.setdefault(key, set()).add(watcher)
        try:
            first = await self.read(_read_since, key, after)
            watcher.begin(after, first)
            if key not in self._pumps:
                self._pumps[key] = asyncio.create_task(self._pump(key, first.seq))
            yield watcher
        finally:
            self._watchers[key].discard(watcher)
            if not self._watchers[key]:
                del self._watchers[key]
                if pump := self._pumps.pop(key, None):
                    await _end(pump)

    async def _pump(self, key: str, seq: int) -> None:
        heard = asyncio.Event()
        ear = asyncio.create_task(_listen(notifier.group_of(key), heard))
        try:
            while True:
                try:
                    update = await self.read(_read_since, key, seq)
                    if update.seq > seq or update.snapshot:
                        seq = update.seq
                        for watcher in self._watchers.get(key, ()):
                            watcher.give(update)
                        await asyncio.sleep(GAP)
                except (DatabaseError, InterfaceError) as error:
                    logger.warning("the feed waits for the database: %s", error)
                try:
                    async with asyncio.timeout(LOOK):
                        await heard.wait()
                except TimeoutError:
                    pass
                heard.clear()
        finally:
            await _end(ear)

    # --- the list of batches -----------------------------------------------------------------------

    @asynccontextmanager
    async def watch_list(self) -> AsyncIterator[asyncio.Queue]:
        """A queue of lists of batches: those that changed, about once a second."""
        queue: asyncio.Queue = asyncio.Queue()
        if self._list is None:
            watchers: set[asyncio.Queue] = set()
            self._list = (asyncio.create_task(self._pump_list(watchers)), watchers)
        pump, watchers = self._list
        watchers.add(queue)
        try:
            yield queue
        finally:
            watchers.discard(queue)
            if not watchers:
                self._list = None
                await _end(pump)

    async def _pump_list(self, watchers: set[asyncio.Queue]) -> None:
        since = None
        seen: dict[str, int] = {}
        while True:
            try:
                now = await self.read(database_now)
                # A little overlap: a commit may become visible after a later one.
                found = await self.read(lists.changed_batches, (since or now) - timedelta(seconds=2))
                news = [batch for batch in found if seen.get(batch["batch_id"]) != batch["seq"]]
                seen = {batch["batch_id"]: batch["seq"] for batch in found}
                since = now
                if news:
                    for queue in watchers:
                        queue.put_nowait(news)
            except (DatabaseError, InterfaceError) as error:
                logger.warning("the list waits for the database: %s", error)
            await asyncio.sleep(LOOK)


async def _end(task: asyncio.Task) -> None:
    """Cancel a task and let it put away what it holds, which a second cancel, by a closing loop, would tear apart."""
    task.cancel()
    await asyncio.wait([task], timeout=FAREWELL)


def _with_connection(function: Callable, *args) -> Any:
    try:
        return function(*args)
    except (DatabaseError, InterfaceError):
        connection.close()
        raise


def _read_since(batch_id: str, after: int | None) -> Update:
    """What came after a frame, merged; a snapshot where that cannot be told."""
    batch = lists.batch(batch_id)
    if after is None:
        return Update(batch["seq"], batch=batch, snapshot=True, at=_now())
    # Up to the frame that the batch was read with: a page must not see the batch finished before its last task.
    missed = lists.frames(batch_id, after, REPLAY_BYTES, batch["seq"])
    size = sum(len(frame[2]) for frame in missed.frames)
    if missed.gone or size > REPLAY_BYTES:
        return Update(batch["seq"], batch=batch, snapshot=True, at=_now())
    if not missed.frames:
        return Update(after, after + 1, batch=batch, at=_now())
    changes = {change[0]: change for frame in missed.frames for change in orjson.loads(frame[2])}
    seq, at = missed.frames[-1][:2]
    return Update(seq, after + 1, at=_iso(at), changes=changes, batch=batch)


def _iso(at) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _now() -> str:
    return _iso(database_now())


async def _listen(group: str, heard: asyncio.Event) -> None:
    """Set `heard` whenever the bell rings for this group; while Redis is away, keep trying."""
    layer = get_channel_layer()
    me = asyncio.current_task()
    # The Redis client swallows a cancellation that comes while it connects: without asking, we would listen for ever.
    while not me.cancelling():
        try:
            channel = await layer.new_channel()
            await layer.group_add(group, channel)
            try:
                while not me.cancelling():
                    await layer.receive(channel)
                    heard.set()
            finally:
                await layer.group_discard(group, channel)
        except Exception as error:  # readers look every second by themselves
            logger.debug("no bell: %s", error)
            await asyncio.sleep(LOOK)


_feeds: WeakKeyDictionary[asyncio.AbstractEventLoop, Feed] = WeakKeyDictionary()


def feed() -> Feed:
    """The feed of the running event loop."""
    return _feeds.setdefault(asyncio.get_running_loop(), Feed())
