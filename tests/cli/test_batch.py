"""The verbs of `manage.py batch`."""

import csv
import json
import os

import pytest

from executor.actions import ACTIONS
from executor.models import AuditEntry, Batch, BatchTask
from tests.support.processes import manage

CSV = "function,duration,name\nsimulate,0,first\nsimulate,0,second\n"


def test_add_start_and_results_use_the_default_batch(batch, worker):
    added = batch(
        "add", "simulate", "--param", "duration=0", "--param", "seed=7", "--name", "One", "--priority", "high"
    )
    assert added.code == 0 and "Task 1 (simulate) was added" in added.out
    task = BatchTask.objects.get()
    assert (task.params, task.name, task.priority) == ({"duration": 0, "seed": 7}, "One", 3)
    assert task.batch.owner == "cli" and task.batch.is_default
    worker()
    started = batch("start", "--watch")
    assert started.code == 0, started
    assert "The batch is finished" in started.out
    [row] = json.loads(batch("results", "--json").out)["data"]["results"]
    assert row["status"] == "completed" and row["result"]["attempt"] == 1
    assert {entry.actor for entry in AuditEntry.objects.all()} == {"cli command line"}


def test_param_overrides_params(batch):
    batch("add", "simulate", "--params", '{"duration": 1, "seed": 5}', "--param", "duration=2.5")
    assert BatchTask.objects.get().params == {"duration": 2.5, "seed": 5}


@pytest.mark.parametrize(
    "text",
    [
        CSV,
        '{"function": "simulate", "params": {}, "name": "first"}\n{"function": "simulate", "name": "second"}',
        '[{"function": "simulate", "name": "first"}, {"tool_name": "simulate", "tool_args": {}, "name": "second"}]',
    ],
    ids=["csv", "jsonl", "json"],
)
def test_add_batch_reads_a_file_or_standard_input(batch, tmp_path, text):
    path = tmp_path / "tasks"
    path.write_text(text)
    words = ("--name", "Mine", "--max-concurrent", "7", "--metadata", '{"from": "test"}', "--json")
    data = batch("add-batch", str(path), *words).data
    assert data["count"] == 2
    row = Batch.objects.get()
    assert (row.name, row.max_concurrent, row.metadata) == ("Mine", 7, {"from": "test"})
    again = batch("add-batch", "-", "--batch", "Mine", "--defaults", '{"priority": "low"}', stdin=text)
    assert again.code == 0 and "2 tasks were added" in again.out
    tasks = BatchTask.objects.order_by("number")
    assert [(task.name, task.priority) for task in tasks] == [
        *(("first", 2), ("second", 2)),
        *(("first", 1), ("second", 1)),
    ]


def test_invalid_lines_are_listed_and_nothing_is_stored(batch):
    text = "function,duration\nsimulate,1\nsimulate,x\nsimulte,1\n"
    done = batch("add-batch", "-", stdin=text)
    assert done.code == 2 and not done.out
    assert "2 of 3 tasks are wrong" in done.err and "did you mean 'simulate'" in done.err
    lines = [line.split()[0] for line in done.err.splitlines() if "params.duration" in line or "simulte" in line]
    assert lines == ["3", "4"], "the lines of the file, which begins with its header"
    assert not BatchTask.objects.exists() and not Batch.objects.exists()
    problem = json.loads(batch("add-batch", "-", "--json", stdin=text).out)
    assert (problem["ok"], problem["code"], len(problem["errors"])) == (False, "bad_tasks", 2)


def test_stop_status_update_cancel_retry_and_list(batch):
    batch("add-batch", "-", "--name", "B", "--start", stdin=CSV)
    assert batch("stop", "--batch", "B", "--json").data["state"] == "stopped"
    assert batch("update", "--batch", "B", "--name", "C", "--max-concurrent", "9", "--priority", "critical").code == 0
    data = batch("status", "--batch", "C", "--detailed", "--json").data
    assert (data["state"], data["max_concurrent"], data["stats"]["queued_by_priority"]["critical"]) == ("stopped", 9, 2)
    assert data["metrics"]["queue_depth"]["critical"] == 2
    first = str(BatchTask.objects.get(number=1).pk)
    assert batch("cancel", "--task-ids", first, "--json").data["cancelled"] == 1
    assert batch("retry", "--batch", "C", "--filter-status", "failed,cancelled", "--json").data["retried"] == 1
    assert batch("cancel", "--batch", "C", "--q", "second", "--json").data["cancelled"] == 1
    text = batch("status", "--batch", "C").out
    assert "critical" in text and "Next: manage.py batch start --batch" in text
    [listed] = json.loads(batch("list", "--state", "stopped", "--json").out)["batches"]
    assert listed["name"] == "C" and "C" in batch("list").out
    assert "no such batches" in batch("list", "--state", "running").out


def test_export_writes_to_a_file_or_standard_output(batch, tmp_path):
    batch("add-batch", "-", "--name", "B", stdin=CSV)
    target = tmp_path / "out.csv"
    target.write_text("old")
    assert batch("export", "--batch", "B", "--format", "csv", "--output", str(target)).code == 0
    assert [row["name"] for row in csv.DictReader(target.open())] == ["first", "second"]
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"], "no temporary file is left"
    lines = batch("export", "--batch", "B", "--format", "jsonl").out.splitlines()
    assert [json.loads(line)["number"] for line in lines] == [1, 2]
    assert batch("export", "--batch", "B", "--output", str(tmp_path / "no" / "file")).code == 2


def test_table_of_results_contains_no_terminal_escapes(batch):
    batch("add", "simulate", "--name", "evil \x1b[31mred [bold]x", "--batch", "")
    done = batch("results", "--fields", "number", "name")
    assert "[bold]x" in done.out, "markup in names is plain text"
    assert "\x1b" not in done.out


# --- clear ---------------------------------------------------------------------------------------------------


@pytest.fixture
def cancelled(batch):
    batch("add-batch", "-", "--name", "B", stdin=CSV)
    batch("cancel", "--batch", "B")
    return ("clear", "--batch", "B", "--statuses", "cancelled")


def test_clear_keeps_tasks_when_not_confirmed(batch, cancelled):
    done = batch.on_terminal(*cancelled, answer="n")
    assert done.code == 0 and "Clear 2 tasks?" in done.out and "Nothing was done." in done.out
    assert BatchTask.objects.count() == 2


def test_clear_deletes_tasks_when_confirmed(batch, cancelled):
    done = batch.on_terminal(*cancelled, answer="y")
    assert done.code == 0 and "2 tasks were deleted" in done.out
    assert not BatchTask.objects.exists()


def test_clear_without_a_terminal_requires_yes(batch, cancelled):
    done = batch(*cancelled)
    assert done.code == 2 and "--yes" in done.err and BatchTask.objects.count() == 2
    assert "2 tasks would be deleted" in batch(*cancelled, "--dry-run").out and BatchTask.objects.count() == 2
    assert batch(*cancelled, "--yes", "--json").data["deleted"] == 2


# --- errors ----------------------------------------------------------------------------------------------------


def test_errors_have_a_message_and_a_fix(batch):
    done = batch("start", "--batch", "nope")
    assert done.code == 2 and done.err.startswith("There is no batch 'nope'.\n`manage.py batch list`")
    assert batch("start").code == 2
    assert "No such file" in batch("add-batch", "/no/such/file").err
    assert "is not JSON" in batch("add", "simulate", "--params", "{").err
    assert "must be key=value" in batch("add", "simulate", "--param", "x").err
    assert batch("start", "--max-concurrent", "0").code == 2


def test_database_without_tables_is_reported(batch, tmp_path):
    env = {"DATABASE_URL": f"sqlite:///{tmp_path / 'empty.sqlite3'}"}
    done = batch("list", env=env)
    assert done.code == 2 and "has not been set up" in done.err and "manage.py migrate" in done.err
    assert "has not been set up" in batch("status", env=env).err


def test_unavailable_database_is_reported(batch):
    done = batch("list", env={"DATABASE_URL": "postgresql://user@127.0.0.1:1/none"})
    assert done.code == 2 and "The database does not answer" in done.err


def test_add_without_redis_stores_the_task_and_warns(batch):
    done = batch("add", "simulate", "--start", env={"REDIS_URL": "redis://127.0.0.1:1"})
    assert done.code == 0 and "Redis is unavailable" in done.err
    assert Batch.objects.get().state == "running" and BatchTask.objects.count() == 1


# --- all verbs ---------------------------------------------------------------------------------------------------


def test_every_action_is_a_verb_with_its_parameters():
    from django.core.management import load_command_class

    parser = load_command_class("executor", "batch").create_parser("manage.py", "batch")
    verbs = next(action for action in parser._actions if action.dest == "verb").choices
    assert {name.replace("_", "-") for name in ACTIONS} | {"watch", "list"} == set(verbs)
    for name, action in ACTIONS.items():
        known = {option.dest for option in verbs[name.replace("_", "-")]._actions}
        assert set(action.parameters.model_fields) - known <= {"tasks"}, name
        assert "json" in known


@pytest.mark.parametrize("words", [("knowledge", "list"), ("apitoken", "list"), ("loginlink",)])
def test_other_commands_report_a_database_without_tables(tmp_path, words):
    done = manage(*words, env={**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path / 'empty.sqlite3'}"})
    assert done.returncode == 1 and "manage.py migrate" in done.stderr and "Traceback" not in done.stderr
