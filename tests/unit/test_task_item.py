"""The fields of a task are declared once: columns, flags, schema and detail page follow from them."""

from __future__ import annotations

import argparse

import pytest

from executor.actions import ACTIONS
from executor.cli import add_verbs
from executor.domain.new_task import NEW_TASK_COLUMNS, NewTask
from executor.domain.task_item import COLUMN_OF, FIELD_OF, TaskItem
from executor.models import BatchTask
from executor.models.fields import new_id
from executor.reads.columns import DETAIL_COLUMNS, RESULT_COLUMNS
from executor.reads.task_table import DETAILS

FIELDS = list(TaskItem.model_fields)


@pytest.mark.parametrize("field", FIELDS)
def test_each_field_is_stored_in_its_own_column(field):
    assert COLUMN_OF[field] in {column.name for column in BatchTask._meta.fields}
    assert NEW_TASK_COLUMNS.count(COLUMN_OF[field]) == 1


@pytest.mark.parametrize("field", FIELDS)
def test_each_field_is_an_argument_of_add(field):
    assert field in ACTIONS["add"].parameters.model_fields


@pytest.mark.parametrize("field", FIELDS)
def test_each_field_is_in_the_response_for_a_task(field):
    assert COLUMN_OF[field] in {*RESULT_COLUMNS, *DETAIL_COLUMNS}


@pytest.mark.parametrize("field", sorted(set(FIELDS) - {"name", "params", "max_retries", "retry_delay"}))
def test_each_field_is_on_the_page_of_a_task(field):
    assert COLUMN_OF[field] in {column.name for column in DETAILS}


@pytest.mark.parametrize("field", FIELDS)
def test_each_field_has_a_label_and_a_help_text(field):
    assert TaskItem.model_fields[field].title
    assert TaskItem.model_fields[field].description


@pytest.mark.parametrize("field", sorted(set(FIELDS) - {"function"}))
def test_each_field_is_a_flag_of_the_command_line(field):
    parser = argparse.ArgumentParser()
    add_verbs(parser)
    options = vars(parser.parse_args(["add", "simulate", f"--{field.replace('_', '-')}", "1"]))
    assert field in options


def test_each_field_is_in_the_schema_of_a_batch():
    items = ACTIONS["add_batch"].parameters.model_json_schema()["properties"]["tasks"]["items"]
    assert set(items["properties"]) == set(FIELDS)
    assert items["properties"]["priority"]["default"] == "medium"


def test_values_of_a_new_task_match_its_columns():
    item = TaskItem(tool_name="simulate", priority="high", custom_id=7, run_after="2030-01-01")
    task = NewTask.of(new_id(), item, "{}")
    stored = dict(zip(NEW_TASK_COLUMNS, task, strict=True))
    assert (stored["task_id"], stored["params"], stored["function"]) == (task.task_id, "{}", "simulate")
    assert (stored["priority"], stored["custom_id"], stored["run_after"].year) == (3, "7", 2030)
    assert (task.priority, task.custom_id, task.run_after) == (3, "7", stored["run_after"])


def test_aliases_map_to_their_field():
    assert FIELD_OF["tool_args"] == FIELD_OF["args"] == FIELD_OF["params"] == "params"
    assert FIELD_OF["run_after"] == "run_at"
