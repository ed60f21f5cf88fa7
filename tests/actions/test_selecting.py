"""One vocabulary of filters; the older names are accepted."""

from __future__ import annotations

import pytest

from executor.domain.errors import BadRequest, NotFound
from tests.factories import add_tasks, make_batch, task_in


@pytest.fixture
def batch(db):
    """Return a batch of three tasks: failed and high, queued and low, queued and high."""
    made = make_batch("Three", max_concurrent=9)
    task_in("failed", made, priority=3)
    add_tasks(made, priority=1)
    add_tasks(made, priority=3)
    return made


@pytest.mark.parametrize("name", ["status", "filter_status"])
def test_results_and_export_filter_by_status(execute, batch, name):
    rows = execute("results", batch="Three", **{name: "failed"}).data["results"]
    assert [row["number"] for row in rows] == [1]
    assert execute("export", batch="Three", **{name: "failed"}).data["count"] == 1


@pytest.mark.parametrize("status", ["status", "filter_status"])
@pytest.mark.parametrize("priority", ["priority", "priority_is"])
def test_commands_filter_by_status_and_priority(execute, batch, status, priority):
    data = execute("cancel", batch="Three", **{status: "queued", priority: "high"}).data
    assert data["cancelled"] == 1
    assert batch.tasks.get(number=3).status == "cancelled"


def test_update_filters_by_priority_is_and_sets_priority(execute, batch):
    assert execute("update", batch="Three", priority_is="low", priority="critical").data["changed"] == 1
    assert batch.tasks.get(number=2).priority == 4


def test_tasks_are_selected_by_number(execute, batch):
    assert execute("cancel", batch="Three", numbers="2,3").data["cancelled"] == 2
    rows = execute("results", batch="Three", numbers=[1, 3]).data["results"]
    assert [row["number"] for row in rows] == [1, 3]


def test_unknown_task_numbers_are_reported(execute, batch):
    with pytest.raises(NotFound, match="1 task number does not exist") as caught:
        execute("cancel", batch="Three", numbers=[2, 9])
    assert [error["value"] for error in caught.value.errors] == [9]
    assert batch.tasks.get(number=2).status == "queued"


@pytest.mark.parametrize("numbers", ["x", [0], [2**40]])
def test_malformed_task_numbers_are_rejected(execute, batch, numbers):
    with pytest.raises(BadRequest):
        execute("cancel", batch="Three", numbers=numbers)
