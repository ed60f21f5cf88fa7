"""A page that watches a batch, without a browser: its cost for the server is part of the measurement.

`python -m executor.testbed.benchmark.page URL [stay]` reads its cookie from standard input, prints `watching` with its
first message, and exits at the end of the batch, or stays. It is a separate process, as a browser is.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO, cast

import orjson
from websockets import Origin
from websockets.asyncio.client import connect

END_TIMEOUT = 10.0  # seconds from the end of a batch until its page must show it


class Watcher:
    """A client of the stream that acknowledges each message, records its age in ms, and calls `on_message`."""

    def __init__(self, on_message: Callable[[], None] = lambda: None):
        self.messages = 0
        self.lags: list[float] = []
        self.saw_end = False
        self._on_message = on_message

    async def watch(self, url: str, cookie: str, stay: bool = False) -> None:
        origin = Origin(_origin(url))
        async with connect(url, additional_headers={"Cookie": cookie}, origin=origin, max_size=None) as socket:
            async for text in socket:
                message = orjson.loads(text)
                if message["t"] != "tick":
                    self.messages += 1
                    sent = datetime.fromisoformat(message["at"])
                    self.lags.append((datetime.now(UTC) - sent).total_seconds() * 1000)
                    self._on_message()
                await socket.send(f'{{"ack":{message.get("seq", 0)}}}')
                if message.get("batch", {}).get("state") == "finished" and not stay:
                    self.saw_end = True
                    return


@contextmanager
def watching(port: str, batch_id: str, stay: bool = False) -> Iterator[None]:
    """Keep a page open. Unless it stays, exit when it has not seen the end of the batch."""
    argv = [sys.executable, "-m", __name__, stream_url(port, batch_id), *(["stay"] if stay else [])]
    page = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    to_page, from_page = cast(IO[str], page.stdin), cast(IO[str], page.stdout)
    try:
        to_page.write(f"{session_cookie()}\n")
        to_page.flush()
        if from_page.readline() != "watching\n":
            sys.exit("The page could not watch the batch.")
        yield
        if not stay and page.wait(END_TIMEOUT):
            sys.exit("The page did not see the end of the batch.")
    except subprocess.TimeoutExpired:
        sys.exit(f"The page did not see the end of the batch within {END_TIMEOUT:g} s.")
    finally:
        page.kill()
        page.communicate()


def stream_url(port: str, batch_id: str) -> str:
    return f"ws://127.0.0.1:{port}/ws/batches/{batch_id}"


def session_cookie() -> str:
    """Return the session cookie of a new superuser."""
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.test import Client

    browser = Client()
    browser.force_login(User.objects.create_superuser(f"benchmark-{time.time_ns()}"))
    return f"{settings.SESSION_COOKIE_NAME}={browser.cookies[settings.SESSION_COOKIE_NAME].value}"


def _origin(url: str) -> str:
    return "http" + url.removeprefix("ws").split("/ws/")[0]


def main(url: str, *stay: str) -> None:
    def on_message() -> None:
        if watcher.messages == 1:
            sys.stdout.write("watching\n")
            sys.stdout.flush()

    watcher = Watcher(on_message)
    asyncio.run(watcher.watch(url, sys.stdin.readline().strip(), bool(stay)))


if __name__ == "__main__":
    main(*sys.argv[1:])
