"""Tools of MCP servers as tasks: a server over both transports, and a worker process."""

import json
import time

import pytest

from executor.agents.catalogue import CATALOGUE
from executor.domain.errors import BadTasks
from executor.reads.functions import list_functions
from tests.agents.conftest import KEY, SLOW, marks, program
from tests.support.batches import assert_consistent, item, run, submit
from tests.support.waiting import eventually

DEAD = {"url": "http://127.0.0.1:9/mcp"}


@pytest.fixture(scope="module")
def transactional_db(module_db):
    """Keep the rows between tests: the worker needs its own."""


@pytest.fixture(scope="module")
def program_marks(tmp_path_factory):
    return tmp_path_factory.mktemp("program") / "marks"


@pytest.fixture(scope="module")
def _servers(web, tools, program_marks):
    headers = {"Authorization": "Bearer ${KEY_OF_TESTS}"}
    tools.configure(
        web={"type": "streamable-http", "url": web.url, "headers": headers, "disabled_tools": ["environment"], **SLOW},
        prog=program(program_marks),
    )


@pytest.fixture(autouse=True)
def worker(transactional_db, _servers, worker_of_module):
    eventually(_all_are_listed, timeout=120, what="the tools of both servers are listed")
    yield worker_of_module
    assert worker_of_module.alive, worker_of_module.log[-4000:]


def _all_are_listed() -> bool:
    return all(listing.tools for listing in CATALOGUE.refreshed(timeout=5))


def rejected(*items: dict) -> list[dict]:
    with pytest.raises(BadTasks) as caught:
        submit(*items)
    return caught.value.errors


# --- catalogue --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("server", ["web", "prog"])
def test_tools_are_listed_with_their_schemas(server):
    listed = {function["name"]: function for function in list_functions()}
    add = listed[f"{server}.add"]
    assert add["summary"] == "Add two numbers." and "negative" in add["doc"]
    assert add["parameters"]["properties"]["a"]["type"] == "integer" and add["parameters"]["required"] == ["a"]
    assert (add["available"], add["built_in"]) == (True, False)
    assert "simulate" in listed


@pytest.mark.parametrize(
    ("params", "field", "word"),
    [
        ({"a": "one"}, "params.a", "integer"),
        ({"b": 2}, "params.a", "required"),
        ({"a": 1, "b": []}, "params.b", "integer"),
    ],
)
def test_invalid_parameters_are_rejected_when_the_task_is_added(params, field, word):
    [error] = rejected(item("web.add", a=1), item("web.add", **params))
    assert (error["index"], error["field"]) == (1, field) and word in error["reason"]


def test_error_for_an_unknown_tool_names_similar_ones():
    [error] = rejected(item("web.ad", a=1))
    assert error["field"] == "function" and "add" in error["reason"]


def test_short_tool_name_must_be_unambiguous():
    [error] = rejected(item("add", a=1))
    assert "web.add" in error["reason"] and "prog.add" in error["reason"]
    task = submit(item("environment")).wait().task()
    assert (task["function"], task["status"]) == ("environment", "completed")


# --- running ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("server", ["web", "prog"])
def test_tool_returns_a_structured_result(server):
    batch = submit(item(f"{server}.add", a=2, b=40), item(f"{server}.say", text="hello")).wait()
    added, said = (task["result"] for task in batch.tasks())
    assert added["structured"]["total"] == 42 and json.loads(added["text"])["total"] == 42
    assert said == {"text": "hello"}
    assert_consistent(batch.id)


def test_all_calls_share_one_process(worker):
    batch = submit(*[item("prog.add", a=number) for number in range(12)], max_concurrent=6).wait()
    assert [task["result"]["structured"]["total"] for task in batch.tasks()] == list(range(1, 13))
    assert len({task["result"]["structured"]["pid"] for task in batch.tasks()}) == 1


def test_calls_run_concurrently(program_marks):
    before = len(marks(program_marks, "nap"))
    batch = submit(*[item("prog.nap", seconds=60) for _ in range(8)], max_concurrent=8)
    eventually(lambda: len(marks(program_marks, "nap")) == before + 8, describe=batch.describe)
    run("cancel", batch=batch.id)
    batch.wait()


@pytest.mark.parametrize("server", ["web", "prog"])
def test_failing_tool_fails_its_task_without_leaking_secrets(server, worker):
    task = submit(item(f"{server}.fail", reason="too bad", max_retries=1)).wait().task()
    assert (task["status"], task["error_kind"], task["retry_count"]) == ("failed", "tool_failed", 1)
    assert f"{server}.fail" in task["error"]
    assert KEY not in json.dumps(task) and KEY not in json.dumps(list_functions())


def test_tool_progress_is_task_progress():
    batch = submit(item("web.nap", seconds=30)).wait_running()
    eventually(lambda: batch.task()["progress"] == [1.0, 2.0, "asleep"], describe=batch.describe)
    run("cancel", batch=batch.id)
    batch.wait()


@pytest.mark.parametrize("server", ["web", "prog"])
@pytest.mark.parametrize("how", ["cancel", "timeout"])
def test_cancel_and_timeout_reach_the_tool(server, how, web, program_marks):
    path = web.marks if server == "web" else program_marks
    woken = len(marks(path, "woken"))
    more = {"timeout": 0.7} if how == "timeout" else {}
    naps = len(marks(path, "nap"))
    batch = submit(item(f"{server}.nap", seconds=60, max_retries=0, **more))
    eventually(lambda: len(marks(path, "nap")) > naps, describe=batch.describe)
    if how == "cancel":
        run("cancel", batch=batch.id)
    batch.wait(timeout=6)
    assert batch.tasks()[0]["error_kind"] == ("cancelled" if how == "cancel" else "timeout")
    eventually(lambda: len(marks(path, "woken")) > woken, what="the tool is cancelled")


# --- servers that fail ------------------------------------------------------------------------------------


def test_unavailable_server_is_reported_and_others_work(tools):
    tools.configure(down=DEAD)
    try:
        [error] = rejected(item("down.add", a=1))
        assert "'down'" in error["reason"] and "nothing answers" in error["reason"]
        assert submit(item("web.say", text="still here")).wait().statuses() == ["completed"]
        assert "web.say" in {function["name"] for function in list_functions()}
    finally:
        tools.remove("down")


def test_unresponsive_server_delays_validation_once(tools, silent):
    tools.configure(mute={"url": silent, "init_timeout": 0.5})
    try:
        began = time.monotonic()
        errors = rejected(*[item("mute.add", a=1) for _ in range(200)])
        assert time.monotonic() - began < 3 and len(errors) == 200
        assert "within 0.5 s" in errors[0]["reason"]
    finally:
        tools.remove("mute")


def test_invalid_entries_are_reported_under_their_names(tools):
    tools.configure(
        odd={"type": "sse", "url": "http://127.0.0.1:9/sse"},
        keyless={"url": DEAD["url"], "headers": {"K": "${NO_SUCH}"}},
    )
    try:
        odd, keyless = rejected(item("odd.x"), item("keyless.x"))
        assert "sse" in odd["reason"] and "NO_SUCH" in keyless["reason"]
        assert submit(item("web.say", text="x")).wait().statuses() == ["completed"]
    finally:
        tools.remove("odd", "keyless")


def test_this_site_is_rejected_as_a_tool_server(tools, settings):
    tools.configure(us={"url": f"http://localhost:{settings.BATCH_PORT}/mcp"})
    try:
        [error] = rejected(item("us.add_batch"))
        assert "this site itself" in error["reason"]
    finally:
        tools.remove("us")


def test_rejected_key_is_reported_without_its_value(tools, web):
    tools.configure(locked={"url": web.url, "headers": {"Authorization": "Bearer a-wrong-key-of-mine"}})
    try:
        [error] = rejected(item("locked.add", a=1))
        assert "401" in error["reason"] and "a-wrong-key" not in error["reason"]
    finally:
        tools.remove("locked")


def test_crashed_program_fails_one_call_and_is_restarted():
    batch = submit(item("prog.die", max_retries=0)).wait()
    task = batch.task()
    assert (task["status"], task["error_kind"]) == ("failed", "agent_unavailable") and "'prog'" in task["error"]
    after = submit(item("prog.add", a=1), item("web.add", a=1)).wait()
    assert after.statuses() == ["completed"] * 2 and {task["attempt"] for task in after.tasks()} == {1}


def test_task_is_retried_until_its_server_returns(web):
    assert submit(item("web.say", text="before")).wait().statuses() == ["completed"]
    batch = submit(item("web.say", text="after", max_retries=1000), start=False)
    web.stop()
    run("start", batch=batch.id)
    eventually(lambda: batch.tasks()[0]["retry_count"] >= 1, describe=batch.describe)
    assert "nothing answers there" in batch.task()["attempts"][0]["error"]
    web.start()
    assert batch.wait().statuses() == ["completed"]


# --- environment of programs ----------------------------------------------------------------------


def test_program_does_not_inherit_the_workers_environment():
    batch = submit(item("prog.environment")).wait()
    names = set(batch.tasks()[0]["result"]["text"].split())
    assert {"PATH", "MCP_KEY"} <= names
    assert not names & {"UNRELATED_SECRET", "SECRET_KEY", "DATABASE_URL", "REDIS_URL", "BATCH_DATA"}
