"""The slots of a worker, and its prefetched tasks."""

from __future__ import annotations

from uuid import UUID

import pytest

from executor.domain.messages import Claim, ClaimedTask
from executor.worker.slots import MAX_PREFETCH, PREFETCH_SECONDS, Prefetched, SlotPool


def claimed(number: int, priority: int = 2) -> ClaimedTask:
    return ClaimedTask(
        claim=Claim(UUID(int=number), UUID(int=0), 1),
        number=number,
        priority=priority,
        function="ok",
        params="{}",
        timeout=None,
        retry_count=0,
        max_retries=0,
        name="",
        custom_id=None,
        owner="",
    )


# --- SlotPool --------------------------------------------------------------------------------------------


def test_new_pool_has_all_slots_free() -> None:
    pool = SlotPool(5)
    assert (pool.free, pool.taken) == (5, 0)


def test_grant_takes_all_free_slots() -> None:
    pool = SlotPool(5)
    assert pool.grant(ended=0) == 5
    assert (pool.free, pool.taken) == (0, 5)
    assert pool.grant(ended=0) == 0


def test_release_returns_unused_slots() -> None:
    pool = SlotPool(5)
    pool.grant(ended=0)
    pool.release(3)
    assert (pool.free, pool.taken) == (3, 2)


def test_slots_of_ended_tasks_are_granted_to_the_same_commit() -> None:
    pool = SlotPool(5)
    pool.grant(ended=0)
    assert pool.grant(ended=2) == 2
    assert (pool.free, pool.taken) == (0, 5)


@pytest.mark.parametrize(
    ("duration", "depth"), [(PREFETCH_SECONDS / 4, 4), (PREFETCH_SECONDS, 1), (60.0, 1), (0.0, MAX_PREFETCH)]
)
def test_short_tasks_are_prefetched(duration: float, depth: int) -> None:
    pool = SlotPool(5)
    for _ in range(50):  # until the duration assumed at first has decayed
        pool.observe([duration])
    assert pool.free == 5 * depth


def test_one_long_task_ends_the_prefetch() -> None:
    pool = SlotPool(5)
    for _ in range(50):
        pool.observe([0.0])
    assert pool.grant(ended=0) == 5 * MAX_PREFETCH
    pool.observe([0.0, 1.0])
    assert pool.free == 5 - 5 * MAX_PREFETCH
    assert pool.grant(ended=10) == 0
    assert pool.taken == 5 * MAX_PREFETCH - 10


def test_empty_pool_forgets_durations() -> None:
    pool = SlotPool(5)
    for _ in range(50):
        pool.observe([0.0])
    pool.release(pool.grant(ended=0))
    assert (pool.free, pool.taken) == (5, 0)


# --- Prefetched ------------------------------------------------------------------------------------------


def test_prefetched_tasks_are_popped_by_priority_then_in_order() -> None:
    prefetched = Prefetched()
    for number, priority in enumerate([1, 3, 2, 3, 4], 1):
        prefetched.push(claimed(number, priority))
    popped = []
    while prefetched:
        popped.append(prefetched.pop().number)
    assert popped == [5, 2, 4, 3, 1]


def test_removed_task_is_not_popped() -> None:
    prefetched = Prefetched()
    for number in (1, 2, 3):
        prefetched.push(claimed(number))
    removed = prefetched.remove(UUID(int=2), 1)
    assert removed is not None and removed.number == 2
    assert prefetched.remove(UUID(int=2), 1) is None
    assert [prefetched.pop().number, prefetched.pop().number] == [1, 3]
    assert not prefetched


def test_drain_returns_all_tasks() -> None:
    prefetched = Prefetched()
    for number in (1, 2, 3):
        prefetched.push(claimed(number))
    assert {task.number for task in prefetched.tasks()} == {1, 2, 3}
    assert {task.number for task in prefetched.drain()} == {1, 2, 3}
    assert not prefetched and prefetched.drain() == []
