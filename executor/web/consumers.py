"""WebSocket consumers of the live page.

Each sends one message and waits for its acknowledgement; changes in between are merged into the next message. A client
that never reads costs one message, and a slow client gets fewer, larger ones.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from urllib.parse import parse_qs

import orjson
from asgiref.sync import sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer

from executor.access import caller_of_user
from executor.db.dialect import database_now
from executor.domain.errors import NotAllowed, NotFound
from executor.reads.batches import list_batches
from executor.reads.feed import feed
from executor.reads.presenters import moment
from executor.reads.watcher import Update, Watcher

logger = logging.getLogger(__name__)

KEEPALIVE_INTERVAL = 5.0  # seconds
MESSAGE_INTERVAL = 0.1  # seconds between two messages, at least
MESSAGE_INTERVAL_PER_WATCHER = 0.0005  # more seconds for each open page: the interval grows with the load
ACKNOWLEDGEMENT_TIMEOUT = 60.0  # seconds
LOGIN_CHECK_INTERVAL = 30.0  # seconds
MAX_CLIENT_MESSAGE = 200  # characters
NOT_LOGGED_IN, NOT_ALLOWED, NO_BATCH, TOO_SLOW, FAILED = 4401, 4403, 4404, 4408, 1011  # close codes


class StreamConsumer(AsyncWebsocketConsumer):
    """Login check, acknowledgements and the sending task; a subclass implements `serve`."""

    channel_layer_alias = ""  # none: the feed subscribes to notifications once for all sockets

    async def connect(self) -> None:
        await self.accept()  # before this, a page would not see the close code
        user = self.scope.get("user")
        if user is None or not user.is_authenticated:
            await self.close(NOT_LOGGED_IN)
            return
        try:
            caller = await sync_to_async(caller_of_user)(user)
            caller.require("read")
        except NotAllowed:
            await self.close(NOT_ALLOWED)
            return
        self._acknowledged = asyncio.Event()
        self._acknowledged.set()
        self._resume_after: int | None = None
        self._login_checked = time.monotonic()
        self._sender = asyncio.create_task(self._run())

    async def dispatch(self, message: dict) -> None:
        """Handle a client's message without Channels' check of database connections, which takes a thread.

        Acknowledgements use no database, and many open pages send thousands a second.
        """
        if message["type"] == "websocket.receive":
            await self.websocket_receive(message)
        else:
            await super().dispatch(message)

    async def disconnect(self, code: int) -> None:
        sender = getattr(self, "_sender", None)
        if sender is not None:
            sender.cancel()
            with suppress(asyncio.CancelledError):
                await sender

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if text_data is None or len(text_data) > MAX_CLIENT_MESSAGE:
            return
        try:
            message = orjson.loads(text_data)
        except orjson.JSONDecodeError:
            return
        if isinstance(message, dict) and hasattr(self, "_acknowledged"):
            if isinstance(message.get("after"), int):
                self._resume_after = message["after"]
            self._acknowledged.set()

    async def serve(self) -> None:
        """Send messages until the socket closes.

        Raises NotFound, TimeoutError.
        """
        raise NotImplementedError

    async def _run(self) -> None:
        try:
            await self.serve()
        except NotFound:
            await self.close(NO_BATCH)
        except TimeoutError:
            await self.close(TOO_SLOW)
        except Exception:
            # The page reconnects after a close, but would wait forever on a silent socket.
            logger.exception("A live stream failed.")
            await self.close(FAILED)

    async def send_and_wait(self, message: dict | str) -> None:
        """Send a message (or its JSON) and wait for the acknowledgement.

        Raises TimeoutError when the client does not acknowledge in time.
        """
        self._acknowledged.clear()
        await self.send(message if isinstance(message, str) else orjson.dumps(message).decode())
        async with asyncio.timeout(ACKNOWLEDGEMENT_TIMEOUT):
            await self._acknowledged.wait()
        if time.monotonic() - self._login_checked > LOGIN_CHECK_INTERVAL:
            self._login_checked = time.monotonic()
            if not await sync_to_async(self._still_logged_in)():
                await self.close(NOT_LOGGED_IN)

    def _still_logged_in(self) -> bool:
        session = self.scope["session"]
        user = self.scope["user"]
        user.refresh_from_db(fields=["is_active"])
        return user.is_active and session.exists(session.session_key)


class BatchConsumer(StreamConsumer):
    """The stream of one batch, after frame `?after=N`."""

    async def serve(self) -> None:
        text = parse_qs(self.scope["query_string"].decode()).get("after", [""])[0]
        after = int(text) if text.isascii() and text.isdecimal() else None
        while True:
            async with feed().watch(str(self.scope["url_route"]["kwargs"]["batch_id"]), after) as watcher:
                after = await self._follow(watcher)

    async def _follow(self, watcher: Watcher) -> int | None:
        """Send updates until the client reports missing frames; return the last frame that it has."""
        while True:
            update = await watcher.next(KEEPALIVE_INTERVAL)
            if update is None:
                await self.send_and_wait({"t": "tick", "seq": watcher.seq, "at": await feed().read(_now)})
            else:
                await self.send_and_wait(_text(update))
                await asyncio.sleep(MESSAGE_INTERVAL + MESSAGE_INTERVAL_PER_WATCHER * feed().crowd)
            if self._resume_after is not None:
                after, self._resume_after = self._resume_after, None
                return after


def _text(update: Update) -> str:
    """Return the JSON of an update, serialized once for all sockets that send it."""
    if not update.text:
        message = {"seq": update.seq, "at": update.at, "batch": update.batch}
        if update.snapshot:
            message |= {"t": "snapshot"}
        else:
            message |= {"t": "frames", "s0": update.first, "changes": list(update.changes.values())}
        update.text = orjson.dumps(message).decode()
    return update.text


class UnknownPathConsumer(StreamConsumer):
    """An address without a stream: the socket is closed with 4404."""

    async def serve(self) -> None:
        raise NotFound("There is no stream at this address.", fix="See docs/api.md.")


class BatchListConsumer(StreamConsumer):
    """The stream of the list of batches: first the newest 100, then every changed one."""

    async def serve(self) -> None:
        async with feed().watch_list() as queue:
            batches, _ = await feed().read(list_batches, 100)
            await self.send_and_wait({"t": "batches", "batches": batches})
            while True:
                try:
                    async with asyncio.timeout(KEEPALIVE_INTERVAL):
                        changed = {batch["batch_id"]: batch for batch in await queue.get()}
                except TimeoutError:
                    await self.send_and_wait({"t": "tick", "at": await feed().read(_now)})
                    continue
                while not queue.empty():
                    changed.update((batch["batch_id"], batch) for batch in queue.get_nowait())
                await self.send_and_wait({"t": "batches", "batches": list(changed.values())})


def _now() -> str:
    return moment(database_now())
