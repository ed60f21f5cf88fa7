"""A commit whose answer is lost: its work is done once, and nothing hangs."""

from pathlib import Path

import pytest

from executor.models import TaskAttempt
from tests.support.batches import assert_consistent, item, marks, run, submit


@pytest.mark.parametrize("point", ["after-claim", "after-finish", "before-claim", "claim-uncommitted", "before-finish"])
def test_worker_continues_after_an_unanswered_commit(start, mark, point):
    """With `after-…` the commit took place; with the others it did not."""
    one = start(f"{point}=raise")
    batch = submit(*[item("nap", seconds=0.05, mark=mark) for _ in range(6)], max_concurrent=2)
    tasks = batch.wait().tasks()
    assert {task["status"] for task in tasks} == {"completed"}
    assert not any(task["retry_count"] for task in tasks), "a lost answer was charged"
    began = [(m.number, m.attempt) for m in marks(Path(mark)) if m.word == "start"]
    assert len(began) == len(set(began)) == 6, "a task ran twice"
    assert set(TaskAttempt.objects.values_list("outcome", flat=True)) <= {"released"}
    assert one.alive and f"failpoint {point}" in one.log
    assert_consistent(batch.id)
    # It has all of its slots.
    full = submit(*[item("meet", mark=f"{mark}-again", count=4) for _ in range(4)], max_concurrent=4)
    assert_consistent(full.wait().id)


def test_repeated_call_with_an_idempotency_key_is_done_once(script):
    """The answer is lost with the process of the first caller."""
    call = "run('add_batch', tasks=[item('ok')] * 3, name='once', start=True, idempotency_key='k')"
    done = script(call, at="before-push=kill")
    assert done.returncode == -9, done.stderr
    again = run("add_batch", tasks=[item("ok")] * 3, name="once", start=True, idempotency_key="k")
    found = run("status", batch="once")
    assert found["batch_id"] == again["batch_id"] and found["stats"]["total_tasks"] == 3
