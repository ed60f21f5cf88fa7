"""Tickets in Redis are not trusted: a ticket names an attempt, and anything else is dropped."""

import asyncio
from pathlib import Path
from uuid import UUID

import pytest
from rq.exceptions import DeserializationError
from rq.job import Job
from rq.serializers import DefaultSerializer, JSONSerializer

from executor.broker import tickets
from executor.broker.ticket_job import ENTRY, TICKET_TTL, TicketJob, queue_key
from executor.broker.ticket_taker import TicketTaker
from executor.domain.messages import Ticket
from tests.support.waiting import eventually

A, B = "a" * 32, "b" * 32
TASK, BATCH = UUID(A), UUID(B)


def test_ticket_name_round_trip():
    ticket = Ticket(TASK, 7, BATCH)
    assert tickets.ticket_of(tickets.name_of(ticket)) == ticket
    assert tickets.ticket_of(tickets.name_of(ticket).encode()) == ticket


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-",
        "hello",
        A,
        f"{A}-1",
        f"{A}-x-{B}",
        f"{A}--{B}",
        f"{A}--1-{B}",
        f"{A}-1-{B}-1",
        f"{A}-1-{B}x",
        f"{A}-²-{B}",
        f"{A}-1-{'z' * 32}",
        f"{'z' * 32}-1-{B}",
        f"{A}-{'9' * 5000}-{B}",
        b"\xff\xfe",
    ],
    ids=lambda name: ascii(name)[:24],
)
def test_invalid_ticket_name_is_none(name):
    assert tickets.ticket_of(name) is None


def test_pickle_in_redis_is_not_loaded(valkey, tmp_path):
    """Loading a pickle runs its code."""
    trap = tmp_path / "it was opened"
    job = Job.create(Path.touch, args=(_Trap(trap),), id=f"{A}-1-{B}", connection=valkey, serializer=DefaultSerializer)
    job.save()
    with pytest.raises(DeserializationError):
        TicketJob.fetch(job.id, connection=valkey, serializer=DefaultSerializer).func  # noqa: B018
    assert not trap.exists()
    with pytest.raises(TypeError):
        Job.fetch(job.id, connection=valkey, serializer=DefaultSerializer).perform()
    assert trap.exists(), "the trap does not work: this proved nothing"


class _Trap:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_foreign_json_job_cannot_call_functions(valkey):
    job = Job.create("os.system", args=("true",), id=f"{A}-1-{B}", connection=valkey, serializer=JSONSerializer)
    job.save()
    with pytest.raises(ValueError, match=r"cannot call 'os\.system'"):
        TicketJob.fetch(job.id, connection=valkey).func  # noqa: B018


def test_callbacks_in_redis_are_not_called(valkey):
    tickets.issue([Ticket(TASK, 1, BATCH)])
    name = f"{A}-1-{B}"
    fields = {
        "success_callback_name": "os.system",
        "failure_callback_name": "os.system",
        "stopped_callback_name": "os.system",
    }
    valkey.hset(Job.key_for(name), mapping=fields)
    job = TicketJob.fetch(name, connection=valkey)
    assert (job.success_callback, job.failure_callback, job.stopped_callback) == (None, None, None)


def test_issued_ticket_is_an_ordinary_rq_job(valkey):
    tickets.issue([Ticket(TASK, 1, BATCH, 4)])
    job = TicketJob.fetch(f"{A}-1-{B}", connection=valkey)
    assert (job.func_name, job.args, job.origin) == (ENTRY, [A, 1, B], "critical")
    assert job.func.__name__ == "run_ticket"
    assert 0 < valkey.ttl(job.key) <= TICKET_TTL


async def test_tickets_are_taken_by_priority_and_removed(valkey):
    out = [Ticket(UUID(int=number), 1, BATCH, priority) for number, priority in enumerate([1, 4, 2, 4, 3])]
    tickets.issue(out)
    taker = TicketTaker(tickets.QUEUES, 30)
    try:
        first = await taker.take(2, 0)
        rest = await taker.take(10, 0)
    finally:
        await taker.close()
    assert [ticket.task_id.int for ticket in first + rest] == [1, 3, 4, 2, 0]
    assert not valkey.keys("rq:job:*")


@pytest.mark.parametrize("wait", [0, 1])
async def test_invalid_entries_in_a_queue_are_dropped(valkey, wait):
    good = Ticket(TASK, 1, BATCH)
    for rubbish in ("nonsense", f"{A}-²-{B}", f"{'z' * 32}-1-{B}", b"\xff\x00"):
        valkey.rpush(queue_key(2), rubbish)
    tickets.issue([good])
    taker = TicketTaker(tickets.QUEUES, 30)
    try:
        assert await taker.take(10, wait) == [good]
    finally:
        await taker.close()


async def test_waiting_for_a_ticket_is_bounded(valkey):
    taker = TicketTaker(tickets.QUEUES, 30)
    try:
        assert await taker.take(5, 0.05) == []
    finally:
        await taker.close()


async def test_taker_recovers_from_lost_connection_and_script(valkey):
    taker = TicketTaker(tickets.QUEUES, 30)
    try:
        for attempt in (1, 2):
            tickets.issue([Ticket(TASK, attempt, BATCH)])
            assert await taker.take(1, 0) == [Ticket(TASK, attempt, BATCH)]
            valkey.script_flush()
            valkey.client_kill_filter(_type="normal", skipme=True)
    finally:
        await taker.close()


async def test_cancelled_take_does_not_corrupt_the_next_one(valkey):
    taker = TicketTaker(tickets.QUEUES, 30)
    try:
        waiting = asyncio.create_task(taker.take(5, 30))
        await asyncio.to_thread(eventually, lambda: valkey.info("clients")["blocked_clients"] == 1)
        waiting.cancel()
        await asyncio.to_thread(eventually, lambda: valkey.info("clients")["blocked_clients"] == 0)
        tickets.issue([Ticket(TASK, 1, BATCH)])
        assert await taker.take(5, 0) == [Ticket(TASK, 1, BATCH)]
    finally:
        await taker.close()


async def test_large_answer_is_read_completely(valkey):
    out = [Ticket(UUID(int=number), 1, BATCH) for number in range(5000)]
    tickets.issue(out)
    taker = TicketTaker(tickets.QUEUES, 30)
    try:
        assert await taker.take(5000, 0) == out
    finally:
        await taker.close()
