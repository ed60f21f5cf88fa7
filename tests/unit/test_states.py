"""The table of states and moves."""

from itertools import product

import pytest

from executor.domain.states import (
    FINAL,
    LETTER,
    MOVES,
    STATUS_OF_LETTER,
    BatchState,
    Priority,
    TaskStatus,
    settled_state,
)
from executor.models import BatchTask


def counts(**tasks: int) -> dict[str, int]:
    """Return the number of tasks in each status."""
    return dict.fromkeys(TaskStatus.values, 0) | tasks


def test_there_are_exactly_five_statuses():
    assert set(TaskStatus.values) == {"queued", "running", "completed", "failed", "cancelled"}


def test_final_statuses_are_left_only_by_retry():
    moved_by_workers = {status for verb, move in MOVES.items() if verb != "retry" for status in move.sources}
    assert not moved_by_workers & set(FINAL)
    assert {*FINAL, TaskStatus.QUEUED, TaskStatus.RUNNING} == set(TaskStatus)


def test_only_claim_leads_to_running():
    assert [verb for verb, move in MOVES.items() if TaskStatus.RUNNING in move.targets] == ["claim"]


def test_no_verb_moves_a_completed_task():
    assert not [verb for verb, move in MOVES.items() if TaskStatus.COMPLETED in move.sources]


def test_each_status_has_its_own_letter():
    assert set(LETTER) == set(TaskStatus)
    assert {STATUS_OF_LETTER[letter] for letter in LETTER.values()} == set(TaskStatus)
    assert "-" not in STATUS_OF_LETTER


def test_priorities_are_ordered():
    assert Priority.CRITICAL > Priority.HIGH > Priority.MEDIUM > Priority.LOW
    assert BatchTask._meta.get_field("priority").default == Priority.MEDIUM


@pytest.mark.parametrize(("state", "queued", "running"), [*product(BatchState.values, (0, 1), (0, 1))])
def test_settled_state(state, queued, running):
    settled = settled_state(state, counts(queued=queued, running=running, completed=5 - queued - running))
    if not queued and not running:
        assert settled == BatchState.FINISHED
    elif state == BatchState.STOPPING:
        assert settled == (BatchState.STOPPING if running else BatchState.STOPPED)
    elif state == BatchState.FINISHED:
        assert settled == BatchState.OPEN
    else:
        assert settled == state


@pytest.mark.parametrize("state", ["open", "running", "stopped", "finished"])
def test_empty_batch_does_not_become_finished(state):
    assert settled_state(state, counts()) == state
