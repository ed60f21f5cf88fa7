"""Messages to Agent Zero as tasks: a real server that behaves as its external API, a real worker."""

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
    """Not emptied after each test: the worker needs its row."""


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
    """Give the workers of this module; the last one is alive."""
    started = []

    def more():
        started.append(start_worker(concurrency=10, BATCH_AGENT_TOOLS=str(tools.path), KEY_OF_ZERO=KEY))
        return started

    return more


@pytest.fixture(scope="module")
def _workers(workers):
    return workers()


@pytest.fixture(autouse=True)
def _steady(transactional_db, _workers):
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
    """`other(open_chat=False)`: a second instance."""
    server = ZeroServer(KEY, prefix="")

    def make(**more) -> ZeroServer:
        tools.configure("agentZero", away={"url": server.url, "api_key": KEY, **more})
        return server

    yield make
    tools.remove("away")
    server.stop()


def tell(message: str, **more) -> dict:
    return item("agent_zero", message=message, **more)


def failed(message: str, **more) -> dict:
    """Return the task of a message that fails."""
    task = submit(tell(message, max_retries=2, **more)).wait().task()
    assert task["status"] == "failed" and KEY not in json.dumps(task)
    return task


def wait_received(zero: ZeroServer, message: str, batch: Handle) -> None:
    eventually(lambda: message in zero.received, describe=batch.describe)


def test_an_agent_answers_and_each_task_has_a_chat_of_its_own(zero):
    batch = submit(*[tell(f"count {number}") for number in range(4)], max_concurrent=4).wait()
    results = [task["result"] for task in batch.tasks()]
    assert [result["response"] for result in results] == [f"done: count {number}" for number in range(4)]
    assert {result["agent"] for result in results} == {"home"}
    chats = {result["context_id"] for result in results}
    assert len(chats) == 4
    assert all(len(zero.chats[chat].messages) == 2 for chat in chats)  # the one that opens it, and the message


def test_settings_of_the_chat_and_attachments_are_passed_on(zero):
    file = {"filename": "a.txt", "base64": base64.b64encode(b"some bytes").decode()}
    batch = submit(tell("read", attachments=[file], agent_profile="hacker", project="garden", lifetime_hours=2)).wait()
    chat = zero.chats[batch.tasks()[0]["result"]["context_id"]]
    assert chat.about == {"agent_profile": "hacker", "project_name": "garden", "lifetime_hours": 2}
    [sent] = chat.messages[1]["attachments"]
    assert sent["filename"] == "a.txt" and base64.b64decode(sent["base64"]) == b"some bytes"


def test_what_the_agent_does_is_seen_in_the_log_and_as_progress(zero):
    batch = submit(tell("sleep 60")).wait_running()
    eventually(lambda: (batch.task()["progress"] or [None])[-1] == "waiting", describe=batch.describe)
    log = eventually(lambda: attempt_log.read(UUID(batch.id), 1, 1, 0).text)
    assert "tool: Using tool 'wait' 60" in log
    run("cancel", batch=batch.id)
    batch.wait()


@pytest.mark.parametrize("how", ["cancel", "timeout"])
def test_a_cancel_and_a_timeout_stop_the_agent(how, zero):
    more = {"timeout": 1.5, "max_retries": 0} if how == "timeout" else {}
    batch = submit(tell("sleep 60", **more))
    wait_received(zero, "sleep 60", batch)
    if how == "cancel":
        run("cancel", batch=batch.id)
    batch.wait(timeout=8)
    assert batch.tasks()[0]["error_kind"] == ("cancelled" if how == "cancel" else "timeout")
    eventually(lambda: len(zero.terminated) == 1)
    run("retry", batch=batch.id)  # a person may send it again: the first agent is known to have ended
    eventually(lambda: zero.received.count("sleep 60") == 2, describe=batch.describe)
    run("cancel", batch=batch.id)
    batch.wait(timeout=8)


@pytest.mark.parametrize("message", ["lose", "gone", "garbage"])
def test_a_lost_answer_is_said_and_the_message_is_not_sent_again(message, zero):
    task = failed(message)
    assert (task["error_kind"], task["attempt"]) == ("answer_lost", 1) and "may have done the work" in task["error"]
    chat = task["attempts"][0]["output"]["context_id"]
    assert chat in task["error"] and chat in zero.chats
    assert zero.received.count(message) == 1


def test_an_agent_that_fails_is_not_asked_again_and_no_key_is_told(zero):
    task = failed("fail")
    assert (task["error_kind"], task["attempt"]) == ("tool_failed", 1) and "no model answers" in task["error"]
    assert zero.received.count("fail") == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1/secret", "http://169.254.169.254/latest/", "http://localhost:8080/"])
def test_an_attachment_is_not_fetched_from_within_the_house(url, zero):
    task = failed("read this", attachments=[{"filename": "a.txt", "url": url}])
    assert (task["error_kind"], task["attempt"], zero.received) == ("tool_failed", 1, [])
    assert "open Internet" in task["error"]


def test_an_agent_that_is_too_busy_is_asked_again(zero):
    task = submit(tell("busy")).wait().task()
    assert (task["status"], task["attempt"]) == ("completed", 2)


def test_an_agent_that_cannot_be_reached_is_asked_again_later(other):
    server = other()
    server.stop()
    task = submit(tell("hello", agent="away", max_retries=1)).wait().task()
    assert (task["error_kind"], task["attempt"]) == ("agent_unavailable", 2) and "nothing answers" in task["error"]
    assert server.received == []


def test_a_wrong_key_is_said_at_once(zero, other):
    task = (other(api_key="wrong-wrong-wrong"), failed("hello", agent="away"))[1]
    assert task["attempt"] == 1 and "401" in task["error"] and "api_key" in task["error"]
    assert "wrong-wrong-wrong" not in json.dumps(task)


def test_without_an_opened_chat_one_message_is_sent_to_the_old_path(other):
    server = other(open_chat=False)
    task = submit(tell("hello", agent="away")).wait().task()
    assert (task["result"]["response"], server.received) == ("done: hello", ["hello"])


def test_after_the_worker_died_the_message_is_not_sent_again_until_somebody_says_so(zero, _workers, workers):
    batch = submit(tell("sleep 0.8", agent="home", max_retries=5))
    wait_received(zero, "sleep 0.8", batch)
    _workers[-1].kill()
    workers()
    task = batch.wait().task()
    assert (task["status"], task["error_kind"]) == ("failed", "answer_lost")
    assert zero.received.count("sleep 0.8") == 1
    run("retry", batch=batch.id)
    assert batch.wait().statuses() == ["completed"]
    assert zero.received.count("sleep 0.8") == 2


def test_where_an_agent_cannot_be_stopped_its_message_is_not_sent_again_by_itself(zero):
    zero.forget_to_end = True
    batch = submit(tell("sleep 30", timeout=1.5, max_retries=3))
    task = batch.wait(timeout=15).task()
    assert [attempt["error_kind"] for attempt in task["attempts"]] == ["timeout", "answer_lost"]
    assert zero.received.count("sleep 30") == 1


def test_wrong_parameters_are_refused_when_the_task_is_added(other):
    other()
    bad = [tell("x"), tell("x", agent="nobody"), tell("", agent="home"), tell("x", agent="home", context_id="abc")]
    bad.append(tell("x", agent="home", attachments=[{"filename": "a"}]))
    with pytest.raises(BadTasks) as caught:
        submit(*bad, item("home.message"))
    fields = [error["field"] for error in caught.value.errors]
    assert fields[:4] == ["params.agent", "params.agent", "params.message", "params.context_id"]
    assert fields[4].startswith("params.attachments") and fields[5] == "function"
    assert "home, away" in caught.value.errors[0]["reason"] and "agent_zero" in caught.value.errors[5]["reason"]


def test_without_an_instance_the_function_says_so(settings):
    settings.BATCH_AGENT_TOOLS = ""
    with pytest.raises(BadTasks) as caught:
        submit(tell("x"))
    assert "BATCH_AGENT_TOOLS" in caught.value.errors[0]["reason"]
