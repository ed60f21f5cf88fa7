"""status: its counters, metrics, suggested next action and message."""

import json

import pytest

from executor.models import Batch
from tests.factories import FakeWorker, add_tasks, cancel, make_batch, start, stop

STATS = {
    "total_tasks", "queued", "running", "completed", "failed", "cancelled", "start_time", "end_time",
    "total_execution_time", "average_task_time", "progress_percentage", "estimated_time_remaining", "retries",
    "queued_by_priority",
}  # fmt: skip
METRICS = {
    "total_tasks", "success_rate", "failure_rate", "average_execution_time", "average_wait_time", "queue_depth",
    "active_workers", "throughput", "progress_percentage", "estimated_time_remaining", "retries",
}  # fmt: skip
WORKER = {"name", "host", "pid", "state", "concurrency", "running", "cpu_percent", "memory_bytes"}


def _batch() -> tuple[Batch, FakeWorker]:
    """Return a batch: two tasks completed, one failed after a retry, one cancelled, one running, three queued."""
    batch, worker = make_batch("Status", max_concurrent=1), FakeWorker(concurrency=7)
    for priority, retries in ((4, 0), (4, 0), (4, 1), (3, 0), (3, 0), (2, 0), (1, 0), (1, 0)):
        add_tasks(batch, priority=priority, max_retries=retries)
    start(batch)
    for _ in range(2):
        worker.complete(*worker.claim(batch), execution_time=2.0)
    for _ in range(2):
        worker.fail(*worker.claim(batch), execution_time=5.0)
    cancel(batch.tasks.get(number=4))
    worker.claim(batch)
    return batch, worker


def test_counts_sum_to_the_total(execute):
    _batch()
    data = execute("status", batch="Status").data
    counts = data["request_counts"]
    assert counts == {"queued": 3, "running": 1, "completed": 2, "failed": 1, "cancelled": 1}
    assert sum(counts.values()) == data["stats"]["total_tasks"] == 8
    assert set(data["stats"]) >= STATS
    assert {name: data["stats"][name] for name in counts} == counts
    assert data["stats"]["queued_by_priority"] == {"critical": 0, "high": 0, "medium": 1, "low": 2}
    assert data["stats"]["progress_percentage"] == 50
    assert data["stats"]["average_task_time"] == 3.0
    assert data["stats"]["total_execution_time"] == 9.0
    assert data["stats"]["retries"] == 1
    assert data["stats"]["estimated_time_remaining"] == 10.5
    assert "metrics" not in data


def test_detailed_status_has_every_metric(execute):
    _, worker = _batch()
    data = execute("status", batch="Status", detailed="true").data
    metrics = data["metrics"]
    assert set(metrics) >= METRICS
    assert metrics["success_rate"] == pytest.approx(2 / 3, abs=1e-4)
    assert metrics["failure_rate"] == pytest.approx(1 / 3, abs=1e-4)
    assert metrics["queue_depth"] == {"critical": 0, "high": 0, "medium": 1, "low": 2}
    assert metrics["average_wait_time"] >= 0 and metrics["throughput"] > 0
    assert metrics["average_execution_time"] == 3.0
    [listed] = [each for each in metrics["active_workers"] if each["name"] == worker.name]
    assert set(listed) >= WORKER
    assert listed["concurrency"] == 7


def test_silent_worker_is_not_active(execute):
    _, worker = _batch()
    worker.fall_silent()
    assert execute("status", batch="Status", detailed=True).data["metrics"]["active_workers"] == []


def test_metrics_of_an_empty_batch_are_null(execute):
    make_batch("Status")
    data = execute("status", batch="Status", detailed=True).data
    assert data["metrics"]["success_rate"] is data["metrics"]["average_wait_time"] is None
    assert data["stats"]["progress_percentage"] == 0
    assert data["stats"]["estimated_time_remaining"] is None
    assert json.dumps(data)


def test_suggested_next_call_is_valid_in_every_state(execute):
    batch = make_batch("Status")

    def following() -> str:
        action, _, arguments = execute("status", batch="Status").data["next"].partition(" ")
        assert json.loads(arguments.replace("[...]", "[]"))["batch"] == str(batch.pk)
        return action

    assert following() == "add_batch"
    add_tasks(batch, 2)
    assert following() == "start"
    start(batch)
    assert following() == "wait"
    worker = FakeWorker()
    worker.complete(*worker.claim(batch, slots=1))
    stop(batch)
    assert following() == "start"
    start(batch)
    worker.complete(*worker.claim(batch))
    assert following() == "results"


def test_start_and_end_times_are_ordered(execute):
    batch = make_batch("Status")
    add_tasks(batch)
    data = execute("status", batch="Status").data
    assert data["created_at"] and data["started_at"] is data["finished_at"] is None
    start(batch)
    worker = FakeWorker()
    worker.complete(*worker.claim(batch))
    data = execute("status", batch="Status").data
    assert data["created_at"] <= data["started_at"] <= data["finished_at"]
    assert data["finished_at"] == data["stats"]["end_time"]


def test_message_summarises_state_and_counts(execute):
    _batch()
    message = execute("status", batch="Status").message
    assert message.startswith(
        "The batch is running: 8 tasks, 4 done (50 %), 1 failed, 1 cancelled, 1 running, 3 queued"
    )
