"""`manage.py batch watch`, `start --watch` and `wait`: live output and exit codes."""

import asyncio
import json

import pytest

from executor.access import caller_of_shell
from executor.actions import BatchExecutor
from executor.models import Batch
from executor.reads.feed import feed
from executor.reads.lookups import find_batch


def tasks(count, **params):
    return [{"function": "simulate", "params": {"duration": 0, **params}, "max_retries": 0} for _ in range(count)]


@pytest.fixture
def add(shared_db):
    def add(items, **more):
        return BatchExecutor(caller_of_shell()).execute("add_batch", tasks=items, name="W", **more).data["batch_id"]

    return add


def test_start_and_watch_ends_with_the_batch(batch, add, worker):
    worker()
    add(tasks(10, duration=0.1))
    done = batch("start", "--batch", "W", "--watch")
    assert done.code == 0, done
    assert "10 completed" in done.out and "The batch is finished" in done.out


def test_exit_code_reports_failures(batch, add, worker):
    worker()
    add([*tasks(1), *tasks(1, failure_rate=1)], start=True)
    assert batch("watch", "--batch", "W").code == 1
    assert batch("wait", "--batch", "W").code == 1


def test_exit_code_reports_a_timeout_of_wait(batch, add):
    add(tasks(1), start=True)
    assert batch("wait", "--batch", "W", "--timeout", "0.2").code == 3


def test_watch_ends_when_the_batch_stops(batch, add):
    add(tasks(1), start=True)
    batch("stop", "--batch", "W")
    done = batch("watch", "--batch", "W")
    assert done.code == 3 and "The batch is stopped" in done.out


def test_json_output_has_a_line_per_change(batch, add, worker):
    worker()
    add(tasks(4, duration=0.5), max_concurrent=1)
    done = batch("start", "--batch", "W", "--watch", "--json")
    answer, *seen = [json.loads(line) for line in done.out.splitlines()]
    assert answer["data"]["state"] == "running"
    completed = [each["request_counts"]["completed"] for each in seen]
    assert completed == sorted(completed) and len(set(completed)) >= 3, "changes are written as they happen"
    assert seen[-1]["state"] == "finished" and completed[-1] == 4


def test_terminal_shows_a_progress_bar(batch, add, worker):
    worker()
    add(tasks(4, duration=0.6), max_concurrent=2)
    done = batch.on_terminal("start", "--batch", "W", "--watch")
    assert done.code == 0, done
    assert "━" in done.out and "100 %" in done.out and "2 running" in done.out and "4 completed" in done.out


def test_ctrl_c_ends_the_watch_and_not_the_batch(batch, add):
    batch_id = add(tasks(3), start=True)
    done = batch.on_terminal("watch", "--batch", "W", interrupt_at="3 queued")
    assert done.code == 130, done
    assert "The batch goes on" in done.out and batch_id in done.out
    assert Batch.objects.get().state == "running"


def test_watch_without_redis_polls_the_database(batch, add, worker):
    worker()
    add(tasks(2, duration=0.2), start=True)
    assert batch("watch", "--batch", "W", env={"REDIS_URL": "redis://127.0.0.1:1"}).code == 0


def test_watch_rejects_an_unknown_batch(batch):
    done = batch("watch", "--batch", "nope")
    assert done.code == 2 and "There is no batch" in done.err


def test_state_and_counts_are_read_in_one_query(add, django_assert_num_queries):
    batch_id = add(tasks(1))
    with django_assert_num_queries(1):
        assert find_batch(batch_id).stats.total_tasks == 1


def test_ended_watch_leaves_no_tasks_behind(add, monkeypatch):
    """This holds also if the Redis client swallows the cancellation, as it does while it connects."""
    batch_id = add(tasks(1))

    class SwallowsCancellation:
        async def new_channel(self):
            return "channel"

        async def group_add(self, group, channel):
            connecting.set()
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                pass

        async def group_discard(self, group, channel):
            pass

        async def receive(self, channel):
            await asyncio.sleep(30)

    async def watch_for_a_moment():
        async with feed().watch(batch_id):
            await connecting.wait()
        async with asyncio.timeout(5):
            while len(asyncio.all_tasks()) > 1:
                await asyncio.sleep(0.01)

    connecting = asyncio.Event()
    monkeypatch.setattr("executor.reads.feed.get_channel_layer", SwallowsCancellation)
    asyncio.run(watch_for_a_moment())
