"""What workers record together, alone and beside another."""

from pathlib import Path

from executor.queue.dispatch import open_batches
from tests.support.batches import item, marks, run, submit
from tests.support.waiting import eventually

AT_ONCE = item("simulate", duration=0)


def test_short_tasks_come_together_in_one_worker(worker):
    """Each transaction that changes a task writes one frame. If both held slots there would be twice as many."""
    worker(), worker()
    submit(*[AT_ONCE] * 100).wait()  # everything is loaded after this
    tasks = 3_000
    batch = submit(*[AT_ONCE] * tasks, start=False, max_concurrent=5)
    before = batch.status()["seq"]
    run("start", batch=batch.id)
    batch.wait(timeout=60)
    assert batch.counts()["completed"] == tasks
    assert batch.status()["seq"] - before <= 1.5 * tasks / 5


def test_slots_that_others_do_not_take_are_taken_again(worker):
    worker(concurrency=3)
    batch = submit(*[item("simulate", duration=60)] * 3, max_concurrent=5)
    eventually(lambda: batch.counts()["running"] == 3)  # it has no place for more
    worker()
    run("add_batch", batch=batch.id, tasks=[AT_ONCE] * 200)
    eventually(lambda: batch.counts()["completed"] == 200, timeout=10)
    assert batch.counts()["running"] == 3
    run("stop", batch=batch.id, force=True)


def test_what_ends_while_the_batch_is_locked_is_recorded_in_one_commit(worker, tmp_path):
    mark = str(tmp_path / "marks")
    worker()
    batch = submit(*[item("nap", seconds=0.1 + number / 20, mark=mark) for number in range(6)], max_concurrent=6)
    eventually(lambda: batch.counts()["running"] == 6)
    with open_batches([batch.id]):
        eventually(lambda: len([each for each in marks(Path(mark)) if each.word == "end"]) == 6)
        before = batch.status()["seq"]
    batch.wait()
    assert batch.status()["seq"] == before + 1
