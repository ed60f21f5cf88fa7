"""The SQL of the queue. Guards on the status are made from `domain.states.MOVES`, so that the table is the rule.

`{ids}`, `{excluded}` and `{rows}` are filled in by the callers with the clauses of `db.dialect`. Each row type stands
beside its statement, with its fields in the order of the columns.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from executor.db.dialect import from_db_id
from executor.domain.messages import Candidate
from executor.domain.states import MOVES, Priority, TaskStatus

TASK = "executor_batchtask"
ATTEMPT = "executor_taskattempt"


def guard(verb: str, table: str = "") -> str:
    """Return the SQL condition that a task has a status which this verb accepts.

    Statuses are literals: a planner chooses a partial index by them.
    """
    column = f"{table}.status" if table else "status"
    sources = [f"'{status.value}'" for status in MOVES[verb].sources]
    return f"{column} = {sources[0]}" if len(sources) == 1 else f"{column} IN ({', '.join(sources)})"


def target(verb: str) -> TaskStatus:
    """Return the one status that this verb leads to.

    Raises ValueError for a verb with several.
    """
    [status] = MOVES[verb].targets
    return status


# Guards beside the status.
NEXT_ATTEMPT = "attempt = attempt + 1"  # a claim makes every older claim stale
SAME_WORKER = f"{TASK}.worker = %s"
NO_CANCEL_REQUEST = f"{TASK}.cancel_requested_at IS NULL"


def same_attempt(values: str) -> str:
    """Return the SQL condition that a task's attempt is the one that these values name."""
    return f"{TASK}.attempt = {values}.attempt"


_CLAIMABLE = f"{guard('claim')} AND run_after IS NULL"
_CANDIDATE = f"SELECT task_id, attempt, priority, number FROM {TASK}"


def candidates(rows: Iterable[tuple[Any, ...]]) -> list[Candidate]:
    """Return the rows of a `SELECT` of candidates."""
    return [Candidate(from_db_id(task_id), *rest) for task_id, *rest in rows]


# --- order of dispatch ---------------------------------------------------------------------------------

WITHOUT_TICKET = f"""
    {_CANDIDATE}
    WHERE batch_id = %s AND {_CLAIMABLE} AND dispatched_at IS NULL
    ORDER BY priority DESC, number LIMIT %s
"""
WITHOUT_TICKET_OF_PRIORITY = f"""
    {_CANDIDATE}
    WHERE batch_id = %s AND priority = %s AND {_CLAIMABLE} AND dispatched_at IS NULL
    ORDER BY number LIMIT %s
"""
COUNT_WITHOUT_TICKET = f"""
    SELECT count(*) FROM (
        SELECT 1 FROM {TASK} WHERE batch_id = %s AND priority = %s AND {_CLAIMABLE} AND dispatched_at IS NULL LIMIT %s
    ) AS waiting
"""
COUNT_TICKETS = f"""
    SELECT priority, count(*) FROM {TASK}
    WHERE batch_id = %s AND {guard("claim")} AND dispatched_at IS NOT NULL GROUP BY priority
"""
# Two statements, with `{ticket}` NULL or NOT NULL: each has its own index.
OF_HIGHER_PRIORITY = f"""
    {_CANDIDATE}
    WHERE batch_id = %s AND {_CLAIMABLE} AND dispatched_at IS {{ticket}} AND priority > %s AND task_id {{excluded}}
    ORDER BY priority DESC, number LIMIT %s
"""
BY_ID = f"{_CANDIDATE} WHERE task_id {{ids}} AND batch_id = %s AND {_CLAIMABLE}"

# --- tickets ---------------------------------------------------------------------------------------------

MARK_DISPATCHED = f"""
    UPDATE {TASK} SET dispatched_at = %s WHERE task_id {{ids}} AND {_CLAIMABLE} AND dispatched_at IS NULL
"""
CLEAR_DISPATCHED = f"UPDATE {TASK} SET dispatched_at = NULL WHERE task_id {{ids}} AND {guard('claim')}"

# --- claim -----------------------------------------------------------------------------------------------


class ClaimRow(NamedTuple):
    """A row that CLAIM returns."""

    number: int
    attempt: int
    function: str
    params: str
    timeout: float | None
    retry_count: int
    max_retries: int
    name: str
    custom_id: str | None
    created_at: datetime | str


CLAIM = f"""
    UPDATE {TASK}
    SET status = '{target("claim").value}', {NEXT_ATTEMPT}, worker = %s, started_at = %s,
        dispatched_at = NULL, progress = NULL
    WHERE task_id {{ids}} AND {_CLAIMABLE}
    RETURNING {", ".join(ClaimRow._fields)}
"""

# --- outcomes --------------------------------------------------------------------------------------------


class CompletedRow(NamedTuple):
    """A row that COMPLETE returns."""

    task_id: UUID | str
    number: int
    attempt: int
    priority: int
    started_at: datetime | str | None


COMPLETE_TYPES = ("uuid", "integer", "text", "float8")
COMPLETE = f"""
    WITH outcome(task_id, attempt, result, execution_time) AS ({{rows}})
    UPDATE {TASK}
    SET status = '{target("complete").value}', result = outcome.result, execution_time = outcome.execution_time,
        completed_at = %s, error = '', error_kind = '', progress = NULL
    FROM outcome
    WHERE {TASK}.task_id = outcome.task_id AND {same_attempt("outcome")} AND {SAME_WORKER}
      AND {guard("complete", TASK)} AND {NO_CANCEL_REQUEST}
    RETURNING {TASK}.task_id, number, {TASK}.attempt, priority, started_at
"""


class HeldRow(NamedTuple):
    """A row of HELD: a running task of a worker."""

    task_id: UUID | str
    number: int
    attempt: int
    priority: int
    started_at: datetime | str | None
    retry_count: int
    max_retries: int
    retry_delay: float
    cancel_requested: bool


HELD = f"""
    SELECT task_id, number, attempt, priority, started_at, retry_count, max_retries, retry_delay,
           cancel_requested_at IS NOT NULL
    FROM {TASK} WHERE task_id {{ids}} AND {SAME_WORKER} AND {guard("fail", TASK)}
"""


class EndRow(NamedTuple):
    """The values that END writes, and the claim that guards them."""

    task_id: UUID | str
    attempt: int
    status: str
    worker: str
    retry_count: int
    run_after: datetime | str | None
    error: str
    error_kind: str
    execution_time: float | None
    completed_at: datetime | str | None


END_TYPES = ("uuid", "integer", "text", "text", "integer", "timestamptz", "text", "text", "float8", "timestamptz")
END = f"""
    WITH ended({", ".join(EndRow._fields)}) AS ({{rows}})
    UPDATE {TASK}
    SET {", ".join(f"{name} = ended.{name}" for name in EndRow._fields[2:])},
        progress = NULL, cancel_requested_at = NULL
    FROM ended
    WHERE {TASK}.task_id = ended.task_id AND {same_attempt("ended")} AND {SAME_WORKER}
      AND {guard("fail", TASK)}
"""

# --- deleting --------------------------------------------------------------------------------------------

DELETE_ATTEMPTS = f"DELETE FROM {ATTEMPT} WHERE task_id {{ids}}"
DELETE_TASKS = f"DELETE FROM {TASK} WHERE task_id {{ids}} AND status IN ({{final}})"

# --- the batch -------------------------------------------------------------------------------------------

COUNTERS = (
    "total_tasks",
    *TaskStatus.values,
    *(priority.queued_counter for priority in Priority),
    *("total_execution_time", "started", "total_wait_time", "retries", "last_number", "seq"),
)
LOCK_BATCHES = f"""
    SELECT b.batch_id, b.owner, b.state, b.max_concurrent, b.stop_forced, s.start_time, s.end_time,
           {", ".join(f"s.{name}" for name in COUNTERS)}
    FROM executor_batch b JOIN executor_batchstats s ON s.batch_id = b.batch_id
    WHERE b.batch_id {{ids}} ORDER BY b.batch_id
"""
# Both rows: a joined row that is not locked would be read as of before the wait for the lock.
LOCK_BATCHES_FOR_UPDATE = f"{LOCK_BATCHES} FOR NO KEY UPDATE OF b, s"
LAST_HEARTBEAT = "SELECT heartbeat_at FROM executor_workernode WHERE name = %s AND state IN ('active', 'draining')"
UPDATE_BATCH = "UPDATE executor_batch SET state = %s, max_concurrent = %s, stop_forced = %s WHERE batch_id = %s"
UPDATE_COUNTERS = f"""
    UPDATE executor_batchstats
    SET {", ".join(f"{name} = %s" for name in COUNTERS)}, start_time = %s, end_time = %s, changed_at = %s
    WHERE batch_id = %s
"""
INSERT_FRAME = "INSERT INTO executor_batchframe (batch_id, seq, at, changes, counts) VALUES (%s, %s, %s, %s, %s)"

# --- lost and due ----------------------------------------------------------------------------------------

# Registered workers without a fresh heartbeat, and workers that hold tasks but are not registered as alive.
LOST_WORKERS = f"""
    WITH alive AS (
        SELECT name, heartbeat_at BETWEEN %s AND %s AS is_fresh
        FROM executor_workernode WHERE state IN ('active', 'draining')
    )
    SELECT name FROM alive WHERE NOT is_fresh
    UNION
    SELECT worker FROM {TASK} WHERE {guard("rescue")} AND worker NOT IN (SELECT name FROM alive WHERE is_fresh)
"""
FIRST_DUE = f"""
    SELECT min(run_after) FROM {TASK} JOIN executor_batch USING (batch_id)
    WHERE {guard("claim")} AND run_after IS NOT NULL AND state = 'running'
"""
