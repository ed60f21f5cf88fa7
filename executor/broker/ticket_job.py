"""The RQ job that carries a ticket, so that a stock RQ worker can run one too."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import orjson
from rq import Queue
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer
from rq.utils import import_attribute

from executor.domain.messages import Ticket
from executor.domain.states import Priority

from .connection import redis_client

ENTRY = "executor.worker.single.run_ticket"  # the only function that a ticket may name; tickets in Redis hold it
TICKET_TTL = 3600  # seconds; Redis drops a ticket that no worker took by then, and it is issued again


class TicketJob(Job):
    """An RQ job that can only run a ticket.

    Otherwise access to Redis would allow any function, callback or webhook to be run. The serializer is always JSON,
    because unpickling runs code.
    """

    def __init__(self, id: str | None = None, connection: Any = None, serializer: Any = None):
        super().__init__(id, connection=connection, serializer=JSONSerializer)

    @property
    def func(self) -> Callable[..., Any]:
        """The ticket function.

        Raises ValueError when the job names another one.
        """
        if self.func_name != ENTRY or self.instance is not None:
            raise ValueError(f"a ticket cannot call {self.func_name!r}")
        return import_attribute(ENTRY)

    success_callback = failure_callback = stopped_callback = property(lambda self: None)

    def send_webhooks(self, status: Any, *, exc_string: str | None = None) -> None:
        """Send nothing: tickets have no webhooks, and an address found in Redis is not followed."""


def queue_key(priority: int) -> str:
    """Return the Redis key of the RQ queue of a priority."""
    return Queue.redis_queue_namespace_prefix + Priority(priority).label


def call_data(ticket: Ticket) -> bytes:
    """Return the `data` of a ticket's record: the call that RQ's JSONSerializer reads, uncompressed."""
    return orjson.dumps([ENTRY, None, [ticket.task_id.hex, ticket.attempt, ticket.batch_id.hex], {}])


@cache
def shared_fields(queue: str) -> str:
    """Return the record fields that RQ writes alike for every ticket on a queue: names and values in turn, as JSON.

    Asked of RQ once a process: creating a Job object for each ticket would cost more than all the rest of issuing it.
    """
    job = TicketJob.create(
        ENTRY,
        origin=queue,
        timeout=TICKET_TTL,
        result_ttl=0,
        failure_ttl=TICKET_TTL,
        status=JobStatus.QUEUED,
        connection=redis_client(),
    )
    record = job.to_dict(include_meta=False, include_result=False)
    for own in ("data", "description", "created_at", "enqueued_at"):
        record.pop(own, None)
    # Lua's cjson reads numbers as floats; RQ reads every field as text anyway.
    texts = {name: str(value) if isinstance(value, int) else value for name, value in record.items()}
    return json.dumps([part for field in texts.items() for part in field])
