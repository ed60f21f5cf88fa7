"""Tickets: the only module that talks to RQ's queues.

A ticket is an RQ job named `<task>-<attempt>-<batch>` on the queue of its priority. Everything it says is in its name,
so that a worker needs no second look-up. Losing one costs a delay and nothing else: the database issues it again.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from itertools import groupby
from operator import attrgetter
from typing import TypeVar

import orjson
import redis
from redis.exceptions import RedisError
from rq import Queue
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer
from rq.utils import import_attribute, utcformat

from executor.domain.messages import Ticket
from executor.domain.states import Priority

from .connection import LoopLine, Script, line, redis_client

logger = logging.getLogger(__name__)

T = TypeVar("T")

ENTRY = "executor.worker.single.run_ticket"  # the one function that a ticket may name
QUEUES = tuple(priority.label for priority in sorted(Priority, reverse=True))  # critical first
_NAME = re.compile(r"([0-9a-f]{32})-([0-9]{1,9})-([0-9a-f]{32})")
ANSWERS = 10.0  # seconds after which a Redis that was asked to wait should have said that there is nothing
HANGS = 5.0  # seconds that a Redis which did not answer is left alone
WAITS_AT_MOST = 3600  # seconds; a ticket nobody took by then is dropped by Redis and issued again

_hangs_until = 0.0

# Take up to ARGV[1] names from the queues in their order; a name that was taken leaves no record behind, nor do those
# that follow in ARGV, which were taken before.
_TAKE = Script("""
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
""")

# Push tickets: ARGV has the time, how long they are kept, what all their records say, then name and data of each.
_ISSUE = Script("""
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
""")


class TicketJob(Job):
    """An RQ job that can do nothing but run a ticket.

    Whoever can write to Redis could otherwise name any function, callback or webhook. The serializer is JSON whatever
    the caller asks for: unpickling runs code.
    """

    def __init__(self, id=None, connection=None, serializer=None):
        super().__init__(id, connection=connection, serializer=JSONSerializer)

    @property
    def func(self):
        if self.func_name != ENTRY or self.instance is not None:
            raise ValueError(f"a ticket cannot call {self.func_name!r}")
        return import_attribute(ENTRY)

    success_callback = failure_callback = stopped_callback = property(lambda self: None)

    def send_webhooks(self, status, *, exc_string=None):
        """Tickets have no webhooks; an address found in Redis is not followed."""


def name_of(ticket: Ticket) -> str:
    """The RQ job id of a ticket."""
    return f"{ticket.task_id}-{ticket.attempt}-{ticket.batch_id}"


def ticket_of(name: str | bytes) -> Ticket | None:
    """The ticket of an RQ job id; None for a name that is not a ticket's."""
    if isinstance(name, bytes):
        name = name.decode(errors="replace")
    match = _NAME.fullmatch(name)
    return Ticket(match[1], int(match[2]), match[3]) if match else None


def queue_key(priority: int) -> str:
    return Queue.redis_queue_namespace_prefix + Priority(priority).label


@cache
def _record_of(queue: str) -> str:
    """What RQ itself would write for any ticket on this queue: names and values in turn, as JSON. Asked for once:
    making a Job object for each ticket costs more than everything else that is done for it."""
    job = TicketJob.create(
        ENTRY,
        origin=queue,
        timeout=WAITS_AT_MOST,
        result_ttl=0,
        failure_ttl=WAITS_AT_MOST,
        status=JobStatus.QUEUED,
        connection=redis_client(),
    )
    record = job.to_dict(include_meta=False, include_result=False)
    own = ("data", "description", "created_at", "enqueued_at")
    # Redis gives numbers back as text, but takes those of JSON as floats.
    told = [
        (name, str(value) if isinstance(value, int) else value) for name, value in record.items() if name not in own
    ]
    return json.dumps([each for item in told for each in item])


def _ask(question: Callable[[], T]) -> T:
    """Put a question to Redis. When it hung a moment ago it is not asked: nobody who has other things to do waits for
    each ticket anew. A server that is gone says so at once and needs no such care.

    Raises RedisError.
    """
    global _hangs_until
    if time.monotonic() < _hangs_until:
        raise redis.ConnectionError("it did not answer a moment ago")
    try:
        return question()
    except redis.TimeoutError:
        _hangs_until = time.monotonic() + HANGS
        raise


def issue(tickets: Sequence[Ticket]) -> None:
    """Push tickets on the queues of their priorities, in one round trip for each.

    Raises RedisError.
    """
    if not tickets:
        return
    now = utcformat(datetime.now(UTC))
    # The best first: whoever waits is called by the first that comes.
    best_first = sorted(tickets, key=attrgetter("priority"), reverse=True)
    for priority, group in groupby(best_first, attrgetter("priority")):
        args = [now, WAITS_AT_MOST, _record_of(Priority(priority).label)]
        for ticket in group:
            args += [name_of(ticket), _call_of(ticket)]
        keys = [queue_key(priority), Queue.redis_queues_keys]
        _ask(partial(line().run, _ISSUE, keys, args))


def _call_of(ticket: Ticket) -> bytes:
    """What a stock worker calls, as RQ's JSONSerializer reads it; it is read uncompressed too."""
    return orjson.dumps([ENTRY, None, [ticket.task_id, ticket.attempt, ticket.batch_id], {}])


def withdraw(tickets: Iterable[Ticket]) -> None:
    """Take tickets back that nobody has taken yet. Only tidies up: a stale ticket is refused anyway.

    Raises RedisError.
    """
    with redis_client().pipeline(transaction=False) as pipe:
        for ticket in tickets:
            name = name_of(ticket)
            for priority in Priority:
                pipe.lrem(queue_key(priority), 0, name)
            pipe.delete(Job.key_for(name))
        _ask(pipe.execute)


def waiting() -> set[str]:
    """The names of all tickets that wait in a queue.

    Raises RedisError.
    """
    with redis_client().pipeline(transaction=False) as pipe:
        for priority in Priority:
            pipe.lrange(queue_key(priority), 0, -1)
        return {name.decode() for names in pipe.execute() for name in names}


def depth() -> dict[str, int]:
    """How many tickets wait, by priority.

    Raises RedisError.
    """
    with redis_client().pipeline(transaction=False) as pipe:
        for name in QUEUES:
            pipe.llen(Queue.redis_queue_namespace_prefix + name)
        return dict(zip(QUEUES, pipe.execute(), strict=True))


def take_waiting(queues: Sequence[str], room: int) -> list[Ticket]:
    """Up to `room` tickets that wait now, best queue first.

    Raises RedisError.
    """
    return _tickets_of(_ask(partial(line().run, _TAKE, _keys_of(queues), [room])))


def _keys_of(queues: Sequence[str]) -> list[str]:
    return [Queue.redis_queue_namespace_prefix + name for name in queues]


def _tickets_of(names: Iterable[bytes]) -> list[Ticket]:
    tickets = []
    for name in names:
        ticket = ticket_of(name)
        if ticket is None:
            logger.warning("dropped %r: not a ticket", name[:80])
        else:
            tickets.append(ticket)
    return tickets


class TicketTaker:
    """How a worker waits for tickets: on its event loop, best queue first, many at once."""

    def __init__(self, queues: Sequence[str]):
        self._keys = _keys_of(queues)
        self._line = LoopLine()
        self._waited_for: list[bytes] = []  # taken without the script: their records are still there
        self.waits = False  # whether the next ticket that is issued comes here by itself

    async def take(self, room: int, wait: float) -> list[Ticket]:
        """Up to `room` tickets; waits up to `wait` seconds for the first one, which then comes alone and at once.

        Raises RedisError.
        """
        names = await self._line.run(_TAKE, self._keys, [room, *self._waited_for])
        self._waited_for = []
        if not names and wait > 0 and (first := await self._next(wait)):
            names = self._waited_for = [first]
        return _tickets_of(names)

    async def _next(self, wait: float) -> bytes | None:
        self.waits = True
        try:
            answer = await self._line.ask("BLPOP", *self._keys, wait, within=wait + ANSWERS)
        finally:
            self.waits = False
        return answer[1] if answer else None

    def close(self) -> None:
        self._line.close()


__all__ = ["QUEUES", "RedisError", "TicketJob", "TicketTaker", "depth", "issue", "take_waiting", "waiting", "withdraw"]
