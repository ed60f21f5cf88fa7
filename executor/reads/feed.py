"""The log as a stream: read once per process, and distributed to all watchers.

A pump per watched batch waits for a notification, at most a second, reads the new frames and adds them to each
watcher's update. A slow watcher gets one larger update instead of many: the last change of each task, and the latest
counts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast
from uuid import UUID
from weakref import WeakKeyDictionary

import orjson
from channels.layers import get_channel_layer
from django.db import DatabaseError, InterfaceError, connection

from executor.broker import notifier
from executor.db.dialect import database_now

from .batches import changed_batches, get_batch
from .frames import frames_after
from .lookups import uuid_of
from .presenters import moment
from .watcher import Update, Watcher

logger = logging.getLogger(__name__)

POLL_INTERVAL = 1.0  # seconds; a notification may be lost
MIN_INTERVAL = 0.1  # seconds between two updates of a batch
CANCEL_TIMEOUT = 2.0  # seconds a cancelled task gets for its cleanup
REPLAY_BYTES = 512 * 1024  # of missed frames that are replayed; a watcher that missed more gets a snapshot


class Feed:
    """All pumps of one event loop."""

    def __init__(self):
        self._pumps: dict[UUID, asyncio.Task] = {}
        self._watchers: dict[UUID, set[Watcher]] = {}
        self._reader = ThreadPoolExecutor(1, "feed")  # one thread, one connection
        self._list: tuple[asyncio.Task, set[asyncio.Queue]] | None = None

    @property
    def crowd(self) -> int:
        """The number of watchers of all batches."""
        return sum(map(len, self._watchers.values()))

    async def read(self, function: Callable, *args) -> Any:
        """Call a reading function in the feed's own thread."""
        return await asyncio.get_running_loop().run_in_executor(self._reader, _with_connection, function, *args)

    @asynccontextmanager
    async def watch(self, batch_id: UUID | str, after: int | None = None) -> AsyncIterator[Watcher]:
        """Watch a batch from frame `after` on.

        Without it, or when too much was missed, the first update is a snapshot.

        Raises NotFound.
        """
        key = uuid_of(batch_id, "batch")
        watcher = Watcher()
        # Registered before the first read, so that no frame falls between the two.
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

    async def _pump(self, key: UUID, seq: int) -> None:
        heard = asyncio.Event()
        listener = asyncio.create_task(_listen(notifier.group_of(key), heard))
        try:
            while True:
                try:
                    update = await self.read(_read_since, key, seq)
                    if update.seq > seq or update.snapshot:
                        seq = update.seq
                        for watcher in self._watchers.get(key, ()):
                            watcher.give(update)
                        await asyncio.sleep(MIN_INTERVAL)
                except (DatabaseError, InterfaceError) as error:
                    logger.warning("the feed waits for the database: %s", error)
                try:
                    async with asyncio.timeout(POLL_INTERVAL):
                        await heard.wait()
                except TimeoutError:
                    pass
                heard.clear()
        finally:
            await _end(listener)

    # --- the list of batches -----------------------------------------------------------------------

    @asynccontextmanager
    async def watch_list(self) -> AsyncIterator[asyncio.Queue]:
        """Yield a queue of the batches that changed, about once a second."""
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
                # With some overlap: a commit may become visible after a later one.
                found = await self.read(changed_batches, (since or now) - timedelta(seconds=2))
                news = [batch for batch in found if seen.get(batch["batch_id"]) != batch["seq"]]
                seen = {batch["batch_id"]: batch["seq"] for batch in found}
                since = now
                if news:
                    for queue in watchers:
                        queue.put_nowait(news)
            except (DatabaseError, InterfaceError) as error:
                logger.warning("the list waits for the database: %s", error)
            await asyncio.sleep(POLL_INTERVAL)


async def _end(task: asyncio.Task) -> None:
    """Cancel a task and wait for its cleanup, which a second cancel by a closing loop would interrupt."""
    task.cancel()
    await asyncio.wait([task], timeout=CANCEL_TIMEOUT)


def _with_connection(function: Callable, *args) -> Any:
    try:
        return function(*args)
    except (DatabaseError, InterfaceError):
        connection.close()
        raise


def _read_since(batch_id: UUID, after: int | None) -> Update:
    """Return the frames after number `after`, merged; a snapshot where they are gone or too many."""
    batch = get_batch(batch_id)
    if after is None:
        return Update(batch["seq"], batch=batch, snapshot=True, at=_now())
    # Only up to the frame that the batch was read with: a page must not see a finished batch before its last task.
    missed = frames_after(batch_id, after, REPLAY_BYTES, batch["seq"])
    size = sum(len(frame[2]) for frame in missed.frames)
    if missed.gone or size > REPLAY_BYTES:
        return Update(batch["seq"], batch=batch, snapshot=True, at=_now())
    if not missed.frames:
        return Update(after, after + 1, batch=batch, at=_now())
    changes = {change[0]: change for frame in missed.frames for change in orjson.loads(frame[2])}
    seq, at = missed.frames[-1][:2]
    return Update(seq, after + 1, at=moment(at), changes=changes, batch=batch)


def _now() -> str:
    return moment(database_now())


async def _listen(group: str, heard: asyncio.Event) -> None:
    """Set `heard` at every notification of this group; while Redis is unavailable, keep trying."""
    layer = get_channel_layer()
    me = cast(asyncio.Task, asyncio.current_task())
    # The Redis client swallows a cancellation while it connects: without this check, the feed would listen forever.
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
        except Exception as error:  # pumps poll every second in any case
            logger.debug("no notifications: %s", error)
            await asyncio.sleep(POLL_INTERVAL)


_feeds: WeakKeyDictionary[asyncio.AbstractEventLoop, Feed] = WeakKeyDictionary()


def feed() -> Feed:
    """Return the feed of the running event loop."""
    return _feeds.setdefault(asyncio.get_running_loop(), Feed())
