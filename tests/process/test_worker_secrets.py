"""Secrets reach task functions and appear in no output."""

import base64
import json
from uuid import UUID

import pytest
from django.db import connection

from executor.domain.errors import ExecutorError
from executor.reads.tasks import get_task
from executor.storage import attempt_log
from tests.support.batches import item, run, submit

VALUE = 'pa"ss\\wörd-7f3a9c'


@pytest.fixture(scope="module")
def transactional_db(module_db):
    """Not emptied after each test: the worker needs its row."""


@pytest.fixture(scope="module")
def one(start_worker, module_db):
    return start_worker(concurrency=4, BATCH_SECRET_PASSWORD=VALUE, BATCH_SECRET_TINY="1")


def secret(name="PASSWORD"):
    return {"$secret": name}


def nothing_gives_away(value: str) -> None:
    """Look for the value in every text of the database, in any spelling that JSON has for it."""
    spellings = {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            for row in cursor.fetchall():
                text = " ".join(
                    bytes(each).decode(errors="replace") if isinstance(each, bytes | memoryview) else str(each)
                    for each in row
                )
                assert not any(spelling in text for spelling in spellings), (table, text)


def test_program_gets_the_secret_and_outputs_are_redacted(one):
    script = """
import base64, os, sys
x = os.environ['X']
print(x)
print(x, file=sys.stderr)
print(base64.b64encode(x.encode()).decode())
"""
    batch = submit(item("code_execution", code=script, env={"X": secret()})).wait()
    result = batch.tasks()[0]["result"]
    first, encoded = result["stdout"].splitlines()
    assert first == "[secret PASSWORD]" and result["stderr"].strip() == "[secret PASSWORD]"
    assert base64.b64decode(encoded).decode() == VALUE, "it was really given"
    assert batch.task()["params"]["env"] == {"X": secret()}, "and the task shows what it was given"
    log = get_task(batch.task_ids[0])
    assert VALUE not in json.dumps(log, ensure_ascii=False)
    nothing_gives_away(VALUE)


def test_error_is_redacted(one):
    script = "import os, sys; sys.exit('wrong: ' + os.environ['X'])"
    batch = submit(item("code_execution", code=script, env={"X": secret()}, max_retries=0)).wait()
    task = batch.task()
    assert task["error"].endswith("wrong: [secret PASSWORD]")
    nothing_gives_away(VALUE)


def test_log_redacts_a_secret_written_in_pieces(one):
    script = "import os, sys, time\nfor c in os.environ['X']: sys.stdout.write(c); sys.stdout.flush(); time.sleep(0.02)"
    batch = submit(item("code_execution", code=script, env={"X": secret()})).wait()
    assert attempt_log.read(UUID(batch.id), 1, 1).text == "[secret PASSWORD]"


@pytest.mark.parametrize("before", [32 * 1024 - 5, 10_000])
def test_truncated_output_shows_no_part_of_a_secret(one, before):
    """With 5 of its characters before the cut of the head; and with some after that of the tail."""
    code = f"import os; x = os.environ['X']; print('-' * {before} + x * 9_000 + '-' * {before}, end='')"
    batch = submit(item("code_execution", code=code, env={"X": secret()})).wait()
    result = batch.task()["result"]
    assert result["truncated"] and "[secr" in result["stdout"]
    text = result["stdout"].replace("[secret PASSWORD]", "")
    assert VALUE[:4] not in text and VALUE[-4:] not in text


def test_plain_function_gets_the_secret_in_its_child(one):
    batch = submit(item("sync_ok", value=secret())).wait()
    assert batch.statuses() == ["completed"]
    nothing_gives_away(VALUE)


def test_short_secret_does_not_redact_numbers(one):
    result = submit(item("code_execution", code="print(11)", env={"X": secret("TINY")})).wait().tasks()[0]["result"]
    assert result["exit_code"] == 0 and result["peak_memory"] > 0


def test_unknown_secret_fails_the_task_and_is_named(one):
    task = submit(item("code_execution", code="print(1)", stdin=secret("UNKNOWN"))).wait().task()
    assert (task["status"], task["error_kind"], task["attempt"]) == ("failed", "secret_missing", 1)
    assert "BATCH_SECRET_UNKNOWN" in task["error"]


@pytest.mark.parametrize("wrong", [{"$secret": 1}, {"$secret": "a b"}, {"$secret": "A", "more": 1}, {"$secret": None}])
def test_malformed_secret_reference_is_rejected(transactional_db, wrong):
    with pytest.raises(ExecutorError) as refused:
        run("add_batch", tasks=[item("code_execution", code="x", env={"X": wrong})])
    assert "params.env.X" in str(refused.value.errors)


def test_other_errors_beside_a_secret_are_reported(transactional_db):
    with pytest.raises(ExecutorError) as refused:
        run("add_batch", tasks=[item("code_execution", code=secret(), runtime="cobol")])
    assert [each["field"] for each in refused.value.errors] == ["params.runtime"]
