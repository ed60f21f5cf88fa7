"""The mutations: each removes one guard of the product from the loaded program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Q

from executor.db.dialect import in_clause, to_db_id
from executor.db.statements import query
from executor.domain.messages import Candidate, Ticket
from executor.domain.states import BatchState
from executor.queue import outcomes, repair, statements
from executor.queue.claiming import Claiming
from executor.queue.locked_batch import LockedBatch
from executor.queue.scheduling import Scheduling
from executor.worker.completer import Completer

GUARD_TESTS = "tests/queue/test_guards.py"
BATCH_TESTS = "tests/queue/test_batches.py"
SLOT_TESTS = "tests/queue/test_slots.py"


@dataclass(frozen=True)
class Mutation:
    """`remove` takes the guard out of this process; the file `tests` must fail then."""

    remove: Callable[[], None]
    tests: str


MUTATIONS: dict[str, Mutation] = {}


def mutation(tests: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Register a function that removes a guard, under its name with spaces."""

    def register(remove: Callable[[], None]) -> Callable[[], None]:
        MUTATIONS[remove.__name__.replace("_", " ")] = Mutation(remove, tests)
        return remove

    return register


class GuardMissing(AssertionError):
    """A mutation does not find the guard that it removes."""


def remove_clause(statement: str, clause: str, instead: str = "TRUE") -> None:
    """Replace a clause of a statement of the queue, which must occur once.

    Raises GuardMissing.
    """
    text: str = getattr(statements, statement)
    if text.count(clause) != 1:
        raise GuardMissing(f"{statement} has {clause!r} {text.count(clause)} times, not once")
    setattr(statements, statement, text.replace(clause, instead))


def replace(owner: Any, name: str, value: Any) -> None:
    """Replace an attribute, which must exist.

    Raises GuardMissing.
    """
    if not hasattr(owner, name):
        raise GuardMissing(f"{owner} has no {name}")
    setattr(owner, name, value)


# --- attempt ---------------------------------------------------------------------------------------------


def _ignore_attempts_of_outcomes() -> None:
    """Let a row find any outcome of its task, whatever the attempt."""
    index = outcomes.index_by_claim

    class ByTask(dict):
        def __missing__(self, key: tuple[UUID, int]) -> Any:
            return next(outcome for (task_id, _), outcome in self.items() if task_id == key[0])

        def get(self, key: tuple[UUID, int], default: Any = None) -> Any:
            return self[key]

    replace(outcomes, "index_by_claim", lambda found: ByTask(index(found)))


@mutation(GUARD_TESTS)
def attempt_of_completions() -> None:
    _ignore_attempts_of_outcomes()
    remove_clause("COMPLETE", statements.same_attempt("outcome"))


@mutation(GUARD_TESTS)
def attempt_of_other_outcomes() -> None:
    _ignore_attempts_of_outcomes()
    remove_clause("END", statements.same_attempt("ended"))


@mutation(GUARD_TESTS)
def attempt_of_tickets() -> None:
    def valid(self: Claiming, batch: LockedBatch, tickets: Sequence[Ticket]) -> list[Candidate]:
        condition, ids = in_clause(sorted({ticket.task_id for ticket in tickets}))
        rows = query(statements.BY_ID.format(ids=condition), [*ids, to_db_id(batch.batch_id)])
        return sorted(statements.candidates(rows), key=lambda task: task.rank)

    replace(Claiming, "_valid", valid)


@mutation(GUARD_TESTS)
def attempt_counted_up_by_claims() -> None:
    remove_clause("CLAIM", statements.NEXT_ATTEMPT, "attempt = 1")


# --- worker ----------------------------------------------------------------------------------------------

ANY_WORKER = "%s <> ''"  # takes the parameter that SAME_WORKER takes


@mutation(GUARD_TESTS)
def worker_of_completions() -> None:
    remove_clause("COMPLETE", statements.SAME_WORKER, ANY_WORKER)


@mutation(GUARD_TESTS)
def worker_of_other_outcomes() -> None:
    remove_clause("HELD", statements.SAME_WORKER, ANY_WORKER)
    remove_clause("END", statements.SAME_WORKER, ANY_WORKER)


# --- status ----------------------------------------------------------------------------------------------


@mutation("tests/queue/test_moves.py")
def status_of_claims() -> None:
    remove_clause("BY_ID", statements.guard("claim"))
    remove_clause("CLAIM", statements.guard("claim"))


@mutation(GUARD_TESTS)
def status_of_completions() -> None:
    remove_clause("COMPLETE", statements.guard("complete", statements.TASK))


@mutation(GUARD_TESTS)
def status_of_other_outcomes() -> None:
    remove_clause("HELD", statements.guard("fail", statements.TASK))
    remove_clause("END", statements.guard("fail", statements.TASK))


@mutation(BATCH_TESTS)
def cancel_requests_win_over_completions() -> None:
    remove_clause("COMPLETE", statements.NO_CANCEL_REQUEST)


# --- batch -----------------------------------------------------------------------------------------------


@mutation(BATCH_TESTS)
def only_running_batches_have_free_slots() -> None:
    free_slots = property(lambda batch: batch.max_concurrent - batch.counters["running"])
    replace(LockedBatch, "free_slots", free_slots)


@mutation(SLOT_TESTS)
def slot_limit() -> None:
    free_slots = property(lambda batch: 1000 if batch.state == BatchState.RUNNING else 0)
    replace(LockedBatch, "free_slots", free_slots)


def _number_frames(number: Callable[[int], int]) -> None:
    """Change the number of the last frame before each `flush`, which adds 1."""
    flush = LockedBatch.flush

    def renumbered(batch: LockedBatch) -> bool:
        batch.counters["seq"] = number(batch.counters["seq"])
        return flush(batch)

    replace(LockedBatch, "flush", renumbered)


@mutation(BATCH_TESTS)
def frames_have_no_gap() -> None:
    _number_frames(lambda last: 3 if last == 2 else last)


@mutation(BATCH_TESTS)
def frames_have_different_numbers() -> None:
    _number_frames(lambda last: 0)


@mutation(SLOT_TESTS)
def higher_priority_goes_first_at_the_claim() -> None:
    replace(Scheduling, "prefer_higher", lambda self, batch, tasks, slots: tasks[:slots])


# --- faults ----------------------------------------------------------------------------------------------


@mutation("tests/queue/test_races.py")
def heartbeat_checked_again_under_the_locks() -> None:
    declare_dead = repair.declare_dead
    nothing_is_fresh = Q(pk__in=[])
    replace(repair, "declare_dead", lambda name, is_fresh: declare_dead(name, nothing_is_fresh))


@mutation("tests/faults/test_lost_answers.py")
def claims_of_an_unanswered_commit_are_released() -> None:
    if "_unconfirmed" not in Completer.__init__.__code__.co_names:
        raise GuardMissing("Completer has no list of unconfirmed claims")
    always_empty = property(lambda completer: [], lambda completer, claims: None)
    Completer._unconfirmed = always_empty  # type: ignore[assignment, misc]


# --- use ---------------------------------------------------------------------------------------------------


def apply(name: str) -> None:
    """Remove a guard from this process.

    Raises KeyError for a name that no mutation has, GuardMissing.
    """
    MUTATIONS[name].remove()
