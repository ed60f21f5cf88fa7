"""The sockets of the page. Each sends one message and waits for its acknowledgement; what happens meanwhile is merged
into the next one. So a client that never reads costs one message, and a slow one gets fewer, larger ones."""

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
from executor.reads import lists
from executor.reads.feed import Update, feed
from executor.reads.presenters import moment

logger = logging.getLogger(__name__)

TICK = 5.0  # seconds of silence after which we say that we live
GAP = 0.1  # seconds between two messages
GAP_EACH = 0.0005  # seconds more of it that every watcher costs all: many get fewer messages, which say as much
UNREAD = 60.0  # seconds without an acknowledgement after which the socket is closed
RECHECK = 30.0  # seconds after which the login is looked at again
LARGEST_WORD = 200  # characters of a client's message
NOT_LOGGED_IN, NOT_ALLOWED, NO_BATCH, TOO_SLOW, FAILED = 4401, 4403, 4404, 4408, 1011


class Socket(AsyncWebsocketConsumer):
    """Login, acknowledgements and the sending task; a subclass yields messages."""

    channel_layer_alias = ""  # none of its own: the feed hears the bell, once for all sockets

    async def connect(self):
        await self.accept()  # a refusal before this would reach the page without its code
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
        self._again: int | None = None
        self._checked = time.monotonic()
        self._sender = asyncio.create_task(self._run())

    async def dispatch(self, message):
        """Channels looks after the database before each message, in another thread. An acknowledgement needs none, and
        with many pages open there are thousands a second."""
        if message["type"] == "websocket.receive":
            await self.websocket_receive(message)
        else:
            await super().dispatch(message)

    async def disconnect(self, code):
        sender = getattr(self, "_sender", None)
        if sender is not None:
            sender.cancel()
            with suppress(asyncio.CancelledError):
                await sender

    async def receive(self, text_data=None, bytes_data=None):
        if text_data is None or len(text_data) > LARGEST_WORD:
            return
        try:
            word = orjson.loads(text_data)
        except orjson.JSONDecodeError:
            return
        if isinstance(word, dict) and hasattr(self, "_acknowledged"):
            if isinstance(word.get("after"), int):
                self._again = word["after"]
            self._acknowledged.set()

    async def _run(self):
        try:
            await self.serve()
        except NotFound:
            await self.close(NO_BATCH)
        except TimeoutError:
            await self.close(TOO_SLOW)
        except Exception:
            # An open socket that says nothing any more would be worse: a page that is closed on comes back.
            logger.exception("a stream failed")
            await self.close(FAILED)

    async def say(self, message: dict | str) -> None:
        """Send a message, or the JSON of one, and return when the client has it.

        Raises TimeoutError for a client that does not read.
        """
        self._acknowledged.clear()
        await self.send(message if isinstance(message, str) else orjson.dumps(message).decode())
        async with asyncio.timeout(UNREAD):
            await self._acknowledged.wait()
        if time.monotonic() - self._checked > RECHECK:
            self._checked = time.monotonic()
            if not await sync_to_async(self._still_logged_in)():
                await self.close(NOT_LOGGED_IN)

    def _still_logged_in(self) -> bool:
        session = self.scope["session"]
        user = self.scope["user"]
        user.refresh_from_db(fields=["is_active"])
        return user.is_active and session.exists(session.session_key)


class BatchConsumer(Socket):
    """The stream of one batch, from frame `?after=` on."""

    async def serve(self) -> None:
        asked = parse_qs(self.scope["query_string"].decode()).get("after", [""])[0]
        after = int(asked) if asked.isascii() and asked.isdecimal() else None
        while True:
            async with feed().watch(str(self.scope["url_route"]["kwargs"]["batch_id"]), after) as watcher:
                after = await self._follow(watcher)

    async def _follow(self, watcher) -> int | None:
        """Send updates until the client says that it missed something; from where it wants to go on."""
        while True:
            update = await watcher.next(TICK)
            if update is None:
                await self.say({"t": "tick", "seq": watcher.seq, "at": await feed().read(_now)})
            else:
                await self.say(_text(update))
                await asyncio.sleep(GAP + GAP_EACH * feed().crowd)
            if self._again is not None:
                again, self._again = self._again, None
                return again


def _text(update: Update) -> str:
    """The message that tells an update; made once for all who get the same."""
    if not update.text:
        told = {"seq": update.seq, "at": update.at, "batch": update.batch}
        if update.snapshot:
            told |= {"t": "snapshot"}
        else:
            told |= {"t": "frames", "s0": update.first, "changes": list(update.changes.values())}
        update.text = orjson.dumps(told).decode()
    return update.text


class NowhereConsumer(Socket):
    """An address at which there is no stream."""

    async def serve(self) -> None:
        raise NotFound("There is no stream at this address.", fix="See docs/api.md.")


class BatchListConsumer(Socket):
    """The list of batches: the newest first, then those that change."""

    async def serve(self) -> None:
        async with feed().watch_list() as queue:
            batches, _ = await feed().read(lists.batches, 100)
            await self.say({"t": "batches", "batches": batches})
            while True:
                try:
                    async with asyncio.timeout(TICK):
                        changed = {batch["batch_id"]: batch for batch in await queue.get()}
                except TimeoutError:
                    await self.say({"t": "tick", "at": await feed().read(_now)})
                    continue
                while not queue.empty():
                    changed.update((batch["batch_id"], batch) for batch in queue.get_nowait())
                await self.say({"t": "batches", "batches": list(changed.values())})


def _now() -> str:
    return moment(database_now())
