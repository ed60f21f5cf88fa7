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


def test_there_are_the_five_statuses_and_no_other():
    assert set(TaskStatus.values) == {"queued", "running", "completed", "failed", "cancelled"}


def test_final_is_what_no_worker_moves_on():
    moved_by_workers = {status for verb, move in MOVES.items() if verb != "retry" for status in move.sources}
    assert not moved_by_workers & set(FINAL)
    assert {*FINAL, TaskStatus.QUEUED, TaskStatus.RUNNING} == set(TaskStatus)


def test_a_task_becomes_running_by_a_claim_alone():
    assert [verb for verb, move in MOVES.items() if TaskStatus.RUNNING in move.targets] == ["claim"]


def test_a_completed_task_is_never_moved():
    assert not [verb for verb, move in MOVES.items() if TaskStatus.COMPLETED in move.sources]


def test_each_status_has_a_letter_of_its_own():
    assert set(LETTER) == set(TaskStatus)
    assert {STATUS_OF_LETTER[letter] for letter in LETTER.values()} == set(TaskStatus)
    assert "-" not in STATUS_OF_LETTER


def test_priorities_are_ordered():
    assert Priority.CRITICAL > Priority.HIGH > Priority.MEDIUM > Priority.LOW
    assert BatchTask._meta.get_field("priority").default == Priority.MEDIUM


@pytest.mark.parametrize(("state", "queued", "running"), [*product(BatchState.values, (0, 1), (0, 1))])
def test_how_a_batch_settles(state, queued, running):
    settled = settled_state(state, queued=queued, running=running, total=5)
    if not queued and not running:
        assert settled == BatchState.FINISHED
    elif state == BatchState.STOPPING:
        assert settled == (BatchState.STOPPING if running else BatchState.STOPPED)
    elif state == BatchState.FINISHED:
        assert settled == BatchState.OPEN
    else:
        assert settled == state


@pytest.mark.parametrize("state", ["open", "running", "stopped", "finished"])
def test_an_empty_batch_does_not_become_finished_by_itself(state):
    assert settled_state(state, queued=0, running=0, total=0) == state
