"""Messages to Agent Zero as tasks: a server with its external API, and a worker process."""

import base64
import json
from uuid import UUID

import pytest

from executor.domain.errors import BadTasks
from executor.storage import attempt_log
from tests.agents.zero_server import ZeroServer
from tests.support.batches import Handle, item, run, submit
from tests.support.waiting import eventually

KEY = "sixteen-letters!"


@pytest.fixture(scope="module")
def transactional_db(module_db):
    """Keep the rows between tests: the worker needs its own."""


@pytest.fixture(scope="module")
def _zero(tools):
    server = ZeroServer(KEY)
    tools.configure("agentZero", home={"url": server.url, "api_key": {"$secret": "KEY_OF_ZERO"}})
    yield server
    server.stop()


@pytest.fixture(scope="module", autouse=True)
def _key():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEY_OF_ZERO", KEY)
        yield


@pytest.fixture(scope="module")
def workers(start_worker, tools):
    """Return a function that starts another worker and returns all; the last one is alive."""
    started = []

    def more():
        started.append(start_worker(concurrency=10, BATCH_AGENT_TOOLS=str(tools.path), KEY_OF_ZERO=KEY))
        return started

    return more


@pytest.fixture(scope="module")
def _workers(workers):
    return workers()


@pytest.fixture(autouse=True)
def _worker_survives(transactional_db, _workers):
    yield
    assert _workers[-1].alive, _workers[-1].log[-4000:]
    assert KEY not in _workers[-1].log


@pytest.fixture
def zero(_zero):
    _zero.received.clear()
    _zero.terminated.clear()
    _zero.busy, _zero.forget_to_end = 1, False
    return _zero


@pytest.fixture
def other(tools):
    """Return `other(open_chat=False)`, which configures a second instance."""
    server = ZeroServer(KEY, prefix="")

    def make(**more) -> ZeroServer:
        tools.configure("agentZero", away={"url": server.url, "api_key": KEY, **more})
        return server

    yield make
    tools.remove("away")
    server.stop()


def message_item(message: str, **more) -> dict:
    return item("agent_zero", message=message, **more)


def failed_task(message: str, **more) -> dict:
    """Send a message that fails and return its task."""
    task = submit(message_item(message, max_retries=2, **more)).wait().task()
    assert task["status"] == "failed" and KEY not in json.dumps(task)
    return task


def wait_received(zero: ZeroServer, message: str, batch: Handle) -> None:
    eventually(lambda: message in zero.received, describe=batch.describe)


def test_each_task_gets_a_separate_chat(zero):
    batch = submit(*[message_item(f"count {number}") for number in range(4)], max_concurrent=4).wait()
    results = [task["result"] for task in batch.tasks()]
    assert [result["response"] for result in results] == [f"done: count {number}" for number in range(4)]
    assert {result["agent"] for result in results} == {"home"}
    chats = {result["context_id"] for result in results}
    assert len(chats) == 4
    assert all(len(zero.chats[chat].messages) == 2 for chat in chats)  # the opening message and the test's message


def test_chat_settings_and_attachments_are_forwarded(zero):
    file = {"filename": "a.txt", "base64": base64.b64encode(b"some bytes").decode()}
    batch = submit(
        message_item("read", attachments=[file], agent_profile="hacker", project="garden", lifetime_hours=2)
    ).wait()
    chat = zero.chats[batch.tasks()[0]["result"]["context_id"]]
    assert chat.about == {"agent_profile": "hacker", "project_name": "garden", "lifetime_hours": 2}
    [sent] = chat.messages[1]["attachments"]
    assert sent["filename"] == "a.txt" and base64.b64decode(sent["base64"]) == b"some bytes"


def test_agent_activity_is_in_the_log_and_progress(zero):
    batch = submit(message_item("sleep 60")).wait_running()
    eventually(lambda: (batch.task()["progress"] or [None])[-1] == "waiting", describe=batch.describe)
    log = eventually(lambda: attempt_log.read(UUID(batch.id), 1, 1, 0).text)
    assert "tool: Using tool 'wait' 60" in log
    run("cancel", batch=batch.id)
    batch.wait()


@pytest.mark.parametrize("how", ["cancel", "timeout"])
def test_cancel_and_timeout_stop_the_agent(how, zero):
    more = {"timeout": 1.5, "max_retries": 0} if how == "timeout" else {}
    batch = submit(message_item("sleep 60", **more))
    wait_received(zero, "sleep 60", batch)
    if how == "cancel":
        run("cancel", batch=batch.id)
    batch.wait(timeout=8)
    assert batch.tasks()[0]["error_kind"] == ("cancelled" if how == "cancel" else "timeout")
    eventually(lambda: len(zero.terminated) == 1)
    run("retry", batch=batch.id)  # a manual retry may send it again: the first agent has ended
    eventually(lambda: zero.received.count("sleep 60") == 2, describe=batch.describe)
    run("cancel", batch=batch.id)
    batch.wait(timeout=8)


@pytest.mark.parametrize("message", ["lose", "gone", "garbage"])
def test_lost_answer_is_reported_and_not_retried(message, zero):
    task = failed_task(message)
    assert (task["error_kind"], task["attempt"]) == ("answer_lost", 1) and "may have done the work" in task["error"]
    chat = task["attempts"][0]["output"]["context_id"]
    assert chat in task["error"] and chat in zero.chats
    assert zero.received.count(message) == 1


def test_agent_failure_is_not_retried(zero):
    task = failed_task("fail")
    assert (task["error_kind"], task["attempt"]) == ("tool_failed", 1) and "no model answers" in task["error"]
    assert zero.received.count("fail") == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1/secret", "http://169.254.169.254/latest/", "http://localhost:8080/"])
def test_attachments_from_private_addresses_are_rejected(url, zero):
    task = failed_task("read this", attachments=[{"filename": "a.txt", "url": url}])
    assert (task["error_kind"], task["attempt"], zero.received) == ("tool_failed", 1, [])
    assert "open Internet" in task["error"]


def test_busy_agent_is_retried(zero):
    task = submit(message_item("busy")).wait().task()
    assert (task["status"], task["attempt"]) == ("completed", 2)


def test_unreachable_agent_is_retried(other):
    server = other()
    server.stop()
    task = submit(message_item("hello", agent="away", max_retries=1)).wait().task()
    assert (task["error_kind"], task["attempt"]) == ("agent_unavailable", 2) and "nothing answers" in task["error"]
    assert server.received == []


def test_invalid_key_fails_without_a_retry(zero, other):
    task = (other(api_key="wrong-wrong-wrong"), failed_task("hello", agent="away"))[1]
    assert task["attempt"] == 1 and "401" in task["error"] and "api_key" in task["error"]
    assert "wrong-wrong-wrong" not in json.dumps(task)


def test_older_api_without_chats_gets_one_message(other):
    server = other(open_chat=False)
    task = submit(message_item("hello", agent="away")).wait().task()
    assert (task["result"]["response"], server.received) == ("done: hello", ["hello"])


def test_message_is_resent_after_a_worker_crash_only_on_manual_retry(zero, _workers, workers):
    batch = submit(message_item("sleep 0.8", agent="home", max_retries=5))
    wait_received(zero, "sleep 0.8", batch)
    _workers[-1].kill()
    workers()
    task = batch.wait().task()
    assert (task["status"], task["error_kind"]) == ("failed", "answer_lost")
    assert zero.received.count("sleep 0.8") == 1
    run("retry", batch=batch.id)
    assert batch.wait().statuses() == ["completed"]
    assert zero.received.count("sleep 0.8") == 2


def test_message_to_an_unstoppable_agent_is_not_resent(zero):
    zero.forget_to_end = True
    batch = submit(message_item("sleep 30", timeout=1.5, max_retries=3))
    task = batch.wait(timeout=15).task()
    assert [attempt["error_kind"] for attempt in task["attempts"]] == ["timeout", "answer_lost"]
    assert zero.received.count("sleep 30") == 1


def test_invalid_parameters_are_rejected_when_the_task_is_added(other):
    other()
    bad = [
        message_item("x"),
        message_item("x", agent="unknown"),
        message_item("", agent="home"),
        message_item("x", agent="home", context_id="abc"),
    ]
    bad.append(message_item("x", agent="home", attachments=[{"filename": "a"}]))
    with pytest.raises(BadTasks) as caught:
        submit(*bad, item("home.message"))
    fields = [error["field"] for error in caught.value.errors]
    assert fields[:4] == ["params.agent", "params.agent", "params.message", "params.context_id"]
    assert fields[4].startswith("params.attachments") and fields[5] == "function"
    assert "home, away" in caught.value.errors[0]["reason"] and "agent_zero" in caught.value.errors[5]["reason"]


def test_error_without_an_instance_names_the_setting(settings):
    settings.BATCH_AGENT_TOOLS = ""
    with pytest.raises(BadTasks) as caught:
        submit(message_item("x"))
    assert "BATCH_AGENT_TOOLS" in caught.value.errors[0]["reason"]
