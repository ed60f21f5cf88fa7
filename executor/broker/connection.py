"""How we speak to Redis: with short timeouts and one quick retry; and where a task waits for the answer, without the
layers that redis-py has around a command, which take longer than the command."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import Sequence
from functools import cache
from typing import Any

import redis
from django.conf import settings
from redis.backoff import ExponentialBackoff
from redis.exceptions import NoScriptError, ResponseError
from redis.retry import Retry


@cache
def redis_client() -> redis.Redis:
    """This process's connection pool. redis-py's own ten silent retries would turn a server that hangs into minutes of
    silence."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), 1),
        socket_timeout=1,
        socket_connect_timeout=2,
        health_check_interval=15,
    )


def _new_connection() -> redis.Connection:
    pool = redis_client().connection_pool
    return pool.connection_class(**pool.connection_kwargs)


class Script:
    """A Lua script, which Redis keeps under the digest of its text."""

    def __init__(self, text: str):
        self._text = text
        self._digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def by_digest(self, keys: Sequence[str], args: Sequence) -> tuple:
        return ("EVALSHA", self._digest, len(keys), *keys, *args)

    def in_full(self, keys: Sequence[str], args: Sequence) -> tuple:
        """For a Redis that does not know it yet."""
        return ("EVAL", self._text, len(keys), *keys, *args)


class RedisLine:
    """One connection for one thread. A question is put once more where the connection is lost, so that a script may be
    carried out twice.

    Raises RedisError.
    """

    def __init__(self) -> None:
        self._connection = _new_connection()

    def run(self, script: Script, keys: Sequence[str], args: Sequence) -> Any:
        """What a script returns."""
        try:
            return self._ask(script.by_digest(keys, args))
        except NoScriptError:
            return self._ask(script.in_full(keys, args))

    def _ask(self, command: tuple) -> Any:
        try:
            return self._answer(command)
        except redis.ConnectionError:
            return self._answer(command)

    def _answer(self, command: tuple) -> Any:
        self._connection.send_command(*command, check_health=False)
        return self._connection.read_response()


class LoopLine:
    """The same for an event loop, which goes on while Redis has not answered; with one question at a time."""

    def __init__(self) -> None:
        self._connection = _new_connection()

    async def run(self, script: Script, keys: Sequence[str], args: Sequence, within: float = 10.0) -> Any:
        """What a script returns; `within` so many seconds."""
        try:
            return await self.ask(*script.by_digest(keys, args), within=within)
        except NoScriptError:
            return await self.ask(*script.in_full(keys, args), within=within)

    async def ask(self, *command: Any, within: float) -> Any:
        """The answer to a command, which must come `within` so many seconds once the line is open."""
        try:
            return await self._answer(command, within)
        except redis.ConnectionError:
            return await self._answer(command, within)

    def close(self) -> None:
        self._connection.disconnect()

    async def _answer(self, command: tuple, within: float) -> Any:
        connection, loop = self._connection, asyncio.get_running_loop()
        if not connection.is_connected:
            await asyncio.to_thread(connection.connect)
        answer: asyncio.Future = loop.create_future()
        try:
            connection.send_command(*command, check_health=False)
            socket = connection._sock
            loop.add_reader(socket, self._read, answer)
            try:
                async with asyncio.timeout(within):
                    return await answer
            finally:
                loop.remove_reader(socket)
        except ResponseError:
            raise
        except TimeoutError:
            connection.disconnect()
            raise redis.TimeoutError(f"Redis did not answer within {within:g} s") from None
        except BaseException:  # who gave up waiting, too: the answer would be taken for that to the next question
            connection.disconnect()
            raise

    def _read(self, answer: asyncio.Future) -> None:
        if answer.done():
            return
        try:
            answer.set_result(self._connection.read_response(timeout=0, disconnect_on_error=False))
        except redis.TimeoutError:
            pass  # that was not all of it
        except Exception as error:
            answer.set_exception(error)


_of_thread = threading.local()


def line() -> RedisLine:
    """The line of this thread."""
    if not hasattr(_of_thread, "line"):
        _of_thread.line = RedisLine()
    return _of_thread.line


def _hang_up() -> None:
    """A forked process must not speak on its parent's line."""
    _of_thread.__dict__.clear()


os.register_at_fork(after_in_child=_hang_up)
