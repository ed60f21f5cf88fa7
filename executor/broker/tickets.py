"""Tickets on RQ's queues.

A ticket is an RQ job named `<task>-<attempt>-<batch>` on the queue of its priority. The name says everything, so that
a worker needs no second look-up. A lost ticket costs a delay and nothing else: the database issues it again.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import groupby
from operator import attrgetter
from typing import Any, TypeVar
from uuid import UUID

import redis
from redis.commands.core import Script
from redis.exceptions import RedisError
from rq import Queue
from rq.job import Job
from rq.utils import utcformat

from executor.domain.messages import Ticket
from executor.domain.states import PRIORITIES, Priority

from .connection import redis_client
from .ticket_job import TICKET_TTL, call_data, queue_key, shared_fields

logger = logging.getLogger(__name__)

T = TypeVar("T")

QUEUES = tuple(priority.label for priority in PRIORITIES)  # critical first
_NAME = re.compile(r"([0-9a-f]{32})-([0-9]{1,9})-([0-9a-f]{32})")
CIRCUIT_OPEN_SECONDS = 5.0  # after a timeout, commands fail at once for that long

_circuit_open_until = 0.0

# Take up to ARGV[1] names from the queues in their order, and delete their records, and those of the further names in
# ARGV, which a blocking pop took before.
TAKE_SCRIPT = """
local taken = {}
for place = 2, #ARGV do
  redis.call('DEL', 'rq:job:' .. ARGV[place])
end
for _, queue in ipairs(KEYS) do
  local room = tonumber(ARGV[1]) - #taken
  if room <= 0 then break end
  local names = redis.call('LPOP', queue, room)
  if names then
    for _, name in ipairs(names) do
      taken[#taken + 1] = name
      redis.call('DEL', 'rq:job:' .. name)
    end
  end
end
return taken
"""

# Push tickets on one queue: ARGV has the time, the records' time to live, the fields that all records share, then name
# and data of each.
_ISSUE_SCRIPT = """
local shared = cjson.decode(ARGV[3])
for place = 4, #ARGV, 2 do
  local name, data = ARGV[place], ARGV[place + 1]
  local key = 'rq:job:' .. name
  redis.call('HSET', key, 'data', data, 'description', name, 'created_at', ARGV[1], 'enqueued_at', ARGV[1],
             unpack(shared))
  redis.call('EXPIRE', key, ARGV[2])
  redis.call('RPUSH', KEYS[1], name)
end
redis.call('SADD', KEYS[2], KEYS[1])
"""


@cache
def _script(text: str) -> Script:
    return redis_client().register_script(text)


# --- names -------------------------------------------------------------------------------------------


def name_of(ticket: Ticket) -> str:
    """Return the RQ job id of a ticket."""
    return f"{ticket.task_id.hex}-{ticket.attempt}-{ticket.batch_id.hex}"


def ticket_of(name: str | bytes) -> Ticket | None:
    """Return the ticket of an RQ job id; None for any other name."""
    if isinstance(name, bytes):
        name = name.decode(errors="replace")
    match = _NAME.fullmatch(name)
    return Ticket(UUID(match[1]), int(match[2]), UUID(match[3])) if match else None


def tickets_of(names: Iterable[bytes]) -> list[Ticket]:
    """Return the tickets of these RQ job ids; other names are logged and dropped."""
    tickets = []
    for name in names:
        ticket = ticket_of(name)
        if ticket is None:
            logger.warning("dropped %r: not a ticket", name[:80])
        else:
            tickets.append(ticket)
    return tickets


def queue_keys(queues: Sequence[str]) -> list[str]:
    """Return the Redis keys of these RQ queues."""
    return [Queue.redis_queue_namespace_prefix + name for name in queues]


# --- commands ------------------------------------------------------------------------------------------


def _guarded(command: Callable[[], T]) -> T:
    """Run a command, unless one has timed out in the last CIRCUIT_OPEN_SECONDS.

    A hanging server would otherwise delay every commit by the whole timeout. One that refuses connections answers at
    once and needs no such care.

    Raises RedisError.
    """
    global _circuit_open_until
    if time.monotonic() < _circuit_open_until:
        raise redis.ConnectionError("Redis did not answer a moment ago")
    try:
        return command()
    except redis.TimeoutError:
        _circuit_open_until = time.monotonic() + CIRCUIT_OPEN_SECONDS
        raise


def issue(tickets: Sequence[Ticket]) -> None:
    """Push tickets on the queues of their priorities, in one round trip a queue.

    Raises RedisError.
    """
    if not tickets:
        return
    now = utcformat(datetime.now(UTC))
    # Highest priority first: an idle worker wakes on the first ticket.
    best_first = sorted(tickets, key=attrgetter("priority"), reverse=True)
    for priority, group in groupby(best_first, attrgetter("priority")):
        args: list[Any] = [now, TICKET_TTL, shared_fields(Priority(priority).label)]
        for ticket in group:
            args += [name_of(ticket), call_data(ticket)]
        keys = [queue_key(priority), Queue.redis_queues_keys]
        _guarded(lambda keys=keys, args=args: _script(_ISSUE_SCRIPT)(keys, args))  # type: ignore[misc]


def withdraw(tickets: Iterable[Ticket]) -> None:
    """Remove tickets that no worker has taken yet. This only tidies up: a stale ticket is refused anyway.

    Raises RedisError.
    """
    with redis_client().pipeline(transaction=False) as pipe:
        for ticket in tickets:
            name = name_of(ticket)
            for priority in Priority:
                pipe.lrem(queue_key(priority), 0, name)
            pipe.delete(Job.key_for(name))
        _guarded(pipe.execute)


def waiting() -> set[str]:
    """Return the names of all tickets in the queues.

    Raises RedisError.
    """
    with redis_client().pipeline(transaction=False) as pipe:
        for priority in Priority:
            pipe.lrange(queue_key(priority), 0, -1)
        return {name.decode(errors="replace") for names in _guarded(pipe.execute) for name in names}


def depth() -> dict[str, int]:
    """Return the number of waiting tickets of each priority.

    Raises RedisError.
    """
    with redis_client().pipeline(transaction=False) as pipe:
        for key in queue_keys(QUEUES):
            pipe.llen(key)
        return dict(zip(QUEUES, pipe.execute(), strict=True))


def take_waiting(queues: Sequence[str], room: int) -> list[Ticket]:
    """Take up to `room` tickets without waiting, best queue first.

    Raises RedisError.
    """
    names = _guarded(lambda: _script(TAKE_SCRIPT)(queue_keys(queues), [room]))
    return tickets_of(names)


__all__ = ["QUEUES", "RedisError", "depth", "issue", "name_of", "take_waiting", "ticket_of", "waiting", "withdraw"]
