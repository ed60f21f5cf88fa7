"""The JSON API over HTTP: Daphne, a real database, and httpx as the client."""

import base64
import csv
import io
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import pytest

from executor.access import create_token
from executor.actions import ACTIONS
from executor.domain.errors import ExecutorError
from executor.models import AuditEntry, Batch, BatchTask, IdempotentCall
from tests.support.batches import assert_answers_agree, assert_consistent, run


@pytest.fixture
def api(live_server_url, api_token):
    """Return a client with a token of all scopes."""
    with client(live_server_url, api_token) as agent:
        yield agent


@pytest.fixture
def client_with_scopes(live_server_url, db):
    """Return `client_with_scopes("read")`, which makes a client with a token of these scopes."""
    made = []

    def make(*scopes: str) -> httpx.Client:
        made.append(client(live_server_url, create_token("+".join(scopes), scopes)[1]))
        return made[-1]

    yield make
    for each in made:
        each.close()


def client(url: str, token: str = "", **more) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(base_url=url, headers=headers, timeout=60, **more)


def done(response: httpx.Response) -> dict:
    """Return the data of a successful action."""
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer.keys() == {"ok", "message", "data"} and answer["ok"] is True
    assert answer["message"][0].isupper() or answer["message"][0].isdigit()
    assert answer["message"].endswith(".")
    return answer["data"]


def refused(response: httpx.Response, status: int, code: str) -> dict:
    """Check an error response and return its problem document."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem.keys() >= {"type", "title", "status", "code", "detail", "errors", "fix"}
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["detail"].endswith((".", "?")) and "Traceback" not in response.text
    return problem


def post(api: httpx.Client, action: str, /, **arguments) -> httpx.Response:
    return api.post(f"/api/{action}", json=arguments)


def some(count: int = 3, **more) -> list[dict]:
    return [{"function": "ok", "params": {"value": str(n)}, **more} for n in range(count)]


def a_batch(api, count: int = 3, **more) -> dict:
    return done(post(api, "add_batch", tasks=some(count), **more))


# --- actions --------------------------------------------------------------------------------------------


def test_add_start_and_status_use_the_default_batch(api):
    first = done(post(api, "add", function="ok", priority="high", name="one"))
    second = done(post(api, "add", tool_name="ok", tool_args={"value": "x"}))
    assert (first["number"], second["number"]) == (1, 2) and first["batch_id"] == second["batch_id"]
    assert "start" in second["next"]
    assert done(post(api, "start", max_concurrent="7"))["max_concurrent"] == 7  # a number as text
    status = done(post(api, "status"))
    assert (status["state"], status["max_concurrent"]) == ("running", 7)
    assert sum(status["request_counts"].values()) == 2 == status["stats"]["total_tasks"]
    task = api.get(f"/api/tasks/{first['task_id']}").json()
    assert (task["name"], task["priority"], task["status"], task["attempts"]) == ("one", "high", "queued", [])


def test_each_caller_has_a_default_batch(api, client_with_scopes):
    other = client_with_scopes("read", "submit", "control")
    assert done(post(api, "add", function="ok"))["batch_id"] != done(post(other, "add", function="ok"))["batch_id"]


def test_concurrent_adds_create_one_default_batch(api):
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: post(api, "add", function="ok"), range(10)))
    numbers = sorted(done(answer)["number"] for answer in answers)
    assert numbers == list(range(1, 11))
    assert Batch.objects.count() == 1


def test_add_batch_returns_ids_in_order(api):
    tasks = [
        {"function": "ok", "custom_id": f"row-{n}", "priority": p} for n, p in enumerate(("low", "critical", "high"))
    ]
    data = done(post(api, "add_batch", name="Three", tasks=tasks, metadata={"for": "tests"}, max_concurrent=2))
    assert data["count"] == 3
    listed = api.get(f"/api/batches/{data['batch_id']}/tasks").json()
    assert [task["task_id"] for task in listed["tasks"]] == data["task_ids"]
    assert [(task["number"], task["custom_id"]) for task in listed["tasks"]] == [
        (1, "row-0"),
        (2, "row-1"),
        (3, "row-2"),
    ]
    batch = api.get(f"/api/batches/{data['batch_id']}").json()
    assert (batch["name"], batch["metadata"], batch["max_concurrent"]) == ("Three", {"for": "tests"}, 2)
    assert batch["stats"]["queued_by_priority"] == {"critical": 1, "high": 1, "medium": 0, "low": 1}


@pytest.mark.parametrize("word", ["tool_calls", "calls", "items"])
def test_add_batch_accepts_tool_calls(api, word):
    calls = [{"tool_name": "ok", "tool_args": {"value": "a"}}, {"tool_name": "sync_ok", "tool_args": '{"value": "b"}'}]
    data = done(post(api, "add_batch", **{word: calls}))
    detail = api.get(f"/api/tasks/{data['task_ids'][1]}").json()
    assert (detail["function"], detail["params"]) == ("sync_ok", {"value": "b"})


def test_add_batch_reports_all_errors_and_stores_nothing(api):
    tasks = [
        {"function": "ok"},
        {"function": "no_such_function", "custom_id": "b"},
        {"function": "ok", "params": {"unknown": 1}},
        {"function": "ok", "priority": "urgent", "max_retries": -1},
        {"function": "ok", "custom_id": "c"},
        {"function": "ok", "custom_id": "c"},
        "not an object",
    ]
    problem = refused(post(api, "add_batch", tasks=tasks, name="bad"), 400, "bad_tasks")
    found = [(error["index"], error["field"]) for error in problem["errors"]]
    assert found == [
        (1, "function"),
        (2, "params.unknown"),
        (3, "priority"),
        (3, "max_retries"),
        (5, "custom_id"),
        (6, ""),
    ]
    assert problem["errors"][0]["custom_id"] == "b" and all(error["reason"] for error in problem["errors"])
    assert not Batch.objects.exists() and not AuditEntry.objects.exists()


def test_stop_cancel_retry_update_and_clear(api):
    batch = a_batch(api, 6, start=True)["batch_id"]
    assert done(post(api, "stop", batch=batch))["state"] == "stopped"
    ids = [task["task_id"] for task in api.get(f"/api/batches/{batch}/tasks").json()["tasks"]]
    assert done(post(api, "cancel", task_ids=ids[:2])) == {"cancelled": 2, "cancelling": 0, "skipped": 0}
    assert done(post(api, "cancel", task_ids=ids[:3])) == {"cancelled": 1, "cancelling": 0, "skipped": 2}
    assert done(post(api, "retry", task_ids=[ids[0]]))["retried"] == 1
    assert done(post(api, "update", batch=batch, priority="critical", max_concurrent=9, name="New"))["changed"] == 4
    found = api.get(f"/api/batches/{batch}").json()
    assert (found["name"], found["max_concurrent"]) == ("New", 9)
    assert found["stats"]["queued_by_priority"]["critical"] == 4
    would = done(post(api, "clear", batch=batch, statuses=["cancelled"], dry_run=True))["would_delete"]
    assert would["cancelled"] == 2
    assert api.get(f"/api/batches/{batch}").json()["stats"]["total_tasks"] == 6
    assert done(post(api, "clear", batch=batch, statuses="cancelled"))["deleted"] == 2
    numbers = [task["number"] for task in api.get(f"/api/batches/{batch}/tasks").json()["tasks"]]
    assert numbers == [1, 4, 5, 6]
    assert_everything_agrees(api, batch)


def test_execute_runs_every_action(api):
    data = done(post(api, "execute", action="add_batch", tasks=some()))
    assert done(post(api, "execute", action="status", batch=data["batch_id"]))["stats"]["total_tasks"] == 3
    problem = refused(post(api, "execute", action="explode"), 400, "bad_request")
    assert all(name in problem["fix"] for name in ACTIONS)
    refused(post(api, "execute"), 400, "bad_request")


def test_errors_name_unknown_and_valid_arguments(api):
    problem = refused(post(api, "start", max_concurent=5, batch=7.5), 400, "bad_request")
    assert {error["field"] for error in problem["errors"]} >= {"max_concurent"}
    assert "max_concurrent" in problem["errors"][0]["reason"] + problem["fix"]
    refused(post(api, "start", batch=str(uuid4())), 404, "not_found")
    refused(post(api, "status"), 400, "bad_request")  # no default batch yet
    refused(post(api, "add", function="ok", params=[1]), 400, "bad_tasks")


def test_detailed_status_has_every_metric(api):
    batch = a_batch(api, start=True)["batch_id"]
    data = done(post(api, "status", batch=batch, detailed="true"))
    assert data["metrics"].keys() >= {
        *("total_tasks", "success_rate", "failure_rate", "average_execution_time", "average_wait_time"),
        *("queue_depth", "active_workers", "throughput", "progress_percentage", "estimated_time_remaining"),
    }
    assert "metrics" not in done(post(api, "status", batch=batch))


# --- authentication -------------------------------------------------------------------------------------


def test_every_endpoint_requires_a_token(live_server_url, api):
    batch = a_batch(api)["batch_id"]
    paths = [f"/api/batches/{batch}{part}" for part in ("", "/tasks", "/results", "/export", "/events")]
    with client(live_server_url) as anonymous:
        for path in [*paths, "/api/batches", "/api/functions", "/api/workers"]:
            answer = anonymous.get(path)
            refused(answer, 401, "not_authenticated")
            assert answer.headers["www-authenticate"] == "Bearer"
        for action in [*ACTIONS, "execute"]:
            refused(post(anonymous, action), 401, "not_authenticated")


@pytest.mark.parametrize(
    "header", ["Bearer wrong", "Bearer", "Bearer bx_00000000_x", "Basic b3A6b3A=", "bx_1", "Bearer \xe9"]
)
def test_invalid_authorization_is_refused(live_server_url, header):
    with client(live_server_url) as anonymous:
        refused(
            anonymous.get("/api/batches", headers={"Authorization": header.encode("latin-1")}), 401, "not_authenticated"
        )


def test_token_in_the_query_is_ignored(live_server_url, api_token):
    with client(live_server_url) as anonymous:
        for word in ("token", "access_token", "api_key", "authorization"):
            refused(anonymous.get("/api/batches", params={word: api_token}), 401, "not_authenticated")


NEEDS = {action.name: action.scope for action in ACTIONS.values()}


@pytest.mark.parametrize("scope", ["read", "submit", "control"])
def test_token_permits_actions_of_its_scope_only(client_with_scopes, scope):
    agent = client_with_scopes(scope)
    for action, needed in NEEDS.items():
        answer = post(agent, action)
        assert (answer.status_code == 403) is (needed != scope), (action, answer.text)
        if answer.status_code == 403:
            assert repr(needed) in refused(answer, 403, "not_allowed")["detail"]
    assert (agent.get("/api/batches").status_code == 200) is (scope == "read")
    assert not Batch.objects.exists()


def test_code_execution_requires_the_code_scope(client_with_scopes, api):
    agent = client_with_scopes("read", "submit", "control")
    program = {"function": "code_execution", "params": {"runtime": "python", "code": "1"}}
    answer = post(agent, "add", **program)
    assert answer.status_code in (400, 403) and not BatchTask.objects.exists()
    hidden = {"function": "custom_function", "params": {"function": "code_execution", "params": program["params"]}}
    assert post(agent, "add", **hidden).status_code in (400, 403) and not BatchTask.objects.exists()


@pytest.fixture
def browser_session(live_server_url, operator):
    """Return a logged-in client with its CSRF token."""
    with client(live_server_url, follow_redirects=True) as session:
        session.get("/login/")
        form = {"username": "operator", "password": "a long enough password"}
        form["csrfmiddlewaretoken"] = session.cookies["csrftoken"]
        answer = session.post("/login/", data=form, headers={"Referer": f"{live_server_url}/login/"})
        assert answer.status_code == 200 and "sessionid" in session.cookies
        yield session


def test_session_requires_a_csrf_token_and_bearer_does_not(browser_session, api):
    assert browser_session.get("/api/batches").status_code == 200
    refused(post(browser_session, "add_batch", tasks=some()), 403, "not_allowed")
    wrong = {"X-CSRFToken": "x" * 32}
    refused(browser_session.post("/api/add_batch", json={"tasks": some()}, headers=wrong), 403, "not_allowed")
    right = {"X-CSRFToken": browser_session.cookies["csrftoken"]}
    foreign = {**right, "Origin": "https://evil.example"}
    refused(browser_session.post("/api/add_batch", json={"tasks": some()}, headers=foreign), 403, "not_allowed")
    assert not Batch.objects.exists()
    done(browser_session.post("/api/add_batch", json={"tasks": some()}, headers=right))
    a_batch(api)


def test_invalid_bearer_is_refused_despite_a_session(browser_session):
    wrong = {"Authorization": "Bearer bx_00000000_wrong", "X-CSRFToken": browser_session.cookies["csrftoken"]}
    refused(browser_session.get("/api/batches", headers=wrong), 401, "not_authenticated")
    refused(browser_session.post("/api/add_batch", json={"tasks": some()}, headers=wrong), 401, "not_authenticated")


# --- bodies ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_unsupported_content_type_is_refused(api, kind):
    body = json.dumps({"tasks": some()}).encode()
    refused(api.post("/api/add_batch", content=body, headers={"Content-Type": kind}), 415, "bad_request")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b'{"tasks": NaN}',
        b'{"tasks": [{"function": "ok", "params": {"value": "\\ud800"}}]}',
        b'{"tasks": [{"function": "ok", "params": {"value": "\xff"}}]}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"tasks": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
    ids=range(10),
)
def test_invalid_json_body_is_refused(api, body):
    answer = api.post("/api/add_batch", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400 and answer.json()["code"] in ("bad_request", "bad_tasks")
    assert not Batch.objects.exists()


def lines(api, content, **more) -> httpx.Response:
    return api.post("/api/add_batch", content=content, headers={"Content-Type": "application/x-ndjson"}, **more)


def test_json_lines_can_be_streamed(api):
    def pieces():
        for n in range(500):
            yield json.dumps({"function": "ok", "params": {"value": str(n)}, "custom_id": n}).encode() + b"\n"
            if n % 100 == 0:
                yield b"\r\n"  # empty lines are skipped

    data = done(lines(api, pieces(), params={"name": "Streamed", "start": "true"}))
    assert data["count"] == 500
    batch = api.get(f"/api/batches/{data['batch_id']}").json()
    assert (batch["name"], batch["state"], batch["stats"]["total_tasks"]) == ("Streamed", "running", 500)


def test_invalid_json_lines_are_reported_by_number(api):
    body = b'{"function": "ok"}\n{"function": \n\n{"function": "ok"}\nnonsense\n'
    problem = refused(lines(api, body), 400, "bad_tasks")
    assert [error["line"] for error in problem["errors"]] == [2, 5]
    assert not Batch.objects.exists()


def test_byte_order_mark_is_accepted(api):
    assert done(lines(api, b'\xef\xbb\xbf{"function": "ok"}\n{"function": "ok"}'))["count"] == 2


def test_arguments_in_the_query_are_refused(api):
    problem = refused(api.post("/api/add?batch=Mine", json={"function": "ok"}), 400, "bad_request")
    assert "in the body" in problem["detail"] and not BatchTask.objects.exists()


def test_invalid_tasks_in_json_lines_are_reported(api):
    problem = refused(lines(api, b'{"function": "ok"}\n{"function": "nix"}\n[1]\n'), 400, "bad_tasks")
    assert [(error["index"], error["field"]) for error in problem["errors"]] == [(1, "function"), (2, "")]


def test_hundred_thousand_tasks_are_added_in_one_call(api):
    body = b"\n".join(b'{"function":"ok","params":{"value":"%d"},"priority":"low"}' % n for n in range(100_000))
    started = time.monotonic()
    data = done(lines(api, body))
    took = time.monotonic() - started
    assert data["count"] == 100_000 == len(set(data["task_ids"]))
    assert took < 40, took
    batch = api.get(f"/api/batches/{data['batch_id']}").json()
    assert batch["stats"]["queued_by_priority"]["low"] == 100_000
    started = time.monotonic()
    last = api.get(f"/api/batches/{data['batch_id']}/tasks", params={"cursor": 99_990}).json()["tasks"]
    assert [task["number"] for task in last] == list(range(99_991, 100_001)) and time.monotonic() - started < 1


def test_tasks_above_the_limit_are_refused(api):
    body = b'{"function":"ok"}\n' * 100_001
    refused(lines(api, body), 400, "bad_tasks")
    assert not Batch.objects.exists()


# --- idempotency keys -----------------------------------------------------------------------------------


def keyed(api, key: str, action: str, **arguments) -> httpx.Response:
    return api.post(f"/api/{action}", json=arguments, headers={"Idempotency-Key": key})


def test_repeated_call_with_a_key_is_executed_once(api):
    first, again = (done(keyed(api, "k1", "add_batch", tasks=some(), start=True)) for _ in "12")
    assert first == again and Batch.objects.count() == 1
    one, two = (done(keyed(api, "k2", "add", function="ok", batch=first["batch_id"])) for _ in "12")
    assert one == two and BatchTask.objects.count() == 4
    inside = done(post(api, "execute", action="add", function="ok", batch=first["batch_id"], idempotency_key="k2"))
    assert inside == one


def test_same_key_with_another_body_is_a_conflict(api):
    done(keyed(api, "k", "add_batch", tasks=some()))
    refused(keyed(api, "k", "add_batch", tasks=some(4)), 409, "conflict")
    refused(keyed(api, "k", "add", function="ok"), 409, "conflict")
    assert Batch.objects.count() == 1


def test_keys_are_separate_per_caller(api, client_with_scopes):
    other = client_with_scopes("submit")
    assert done(keyed(api, "k", "add_batch", tasks=some())) != done(keyed(other, "k", "add_batch", tasks=some()))


def test_refused_call_does_not_consume_its_key(api):
    refused(keyed(api, "k", "add_batch", tasks=[{"function": "nix"}]), 400, "bad_tasks")
    done(keyed(api, "k", "add_batch", tasks=some()))


def test_concurrent_calls_with_one_key_are_executed_once(api):
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: keyed(api, "k", "add_batch", tasks=some()), range(20)))
    assert len({done(answer)["batch_id"] for answer in answers}) == 1
    assert Batch.objects.count() == 1 and BatchTask.objects.count() == 3 and IdempotentCall.objects.count() == 1


# --- events ---------------------------------------------------------------------------------------------


def events(api, batch: str, **query) -> dict:
    answer = api.get(f"/api/batches/{batch}/events", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def all_frames(api, batch: str) -> list[dict]:
    frames, after = [], 0
    while True:
        part = events(api, batch, after=after)
        assert "snapshot" not in part
        frames += part["frames"]
        if after == part["seq"]:
            return frames
        after = part["seq"]


def all_results(api, batch: str, **query) -> list[dict]:
    found, cursor = [], None
    while True:
        part = api.get(
            f"/api/batches/{batch}/results", params={**query, **({"cursor": cursor} if cursor else {})}
        ).json()
        found += part["results"]
        cursor = part["next_cursor"]
        if cursor is None:
            return found


def assert_everything_agrees(api, batch: str) -> list[dict]:
    """Check that status, results, exports and events agree, and return the results."""
    results = all_results(api, batch, limit=777)
    assert_answers_agree(api.get(f"/api/batches/{batch}").json(), results, all_frames(api, batch))
    assert (
        done(post(api, "status", batch=batch))["request_counts"]
        == api.get(f"/api/batches/{batch}").json()["request_counts"]
    )
    export = f"/api/batches/{batch}/export"
    assert api.get(export, params={"format": "json"}).json() == results
    assert [json.loads(line) for line in api.get(export, params={"format": "jsonl"}).text.splitlines()] == results
    rows = list(csv.DictReader(io.StringIO(api.get(export, params={"format": "csv"}).text)))
    assert [(row["task_id"], int(row["number"]), row["status"], int(row["attempt"])) for row in rows] == [
        (task["task_id"], task["number"], task["status"], task["attempt"]) for task in results
    ]
    assert [row["error"].lstrip("'") for row in rows] == [(task["error"] or "").lstrip("'") for task in results]
    return results


def test_events_have_no_gap_and_can_be_read_from_any_position(api):
    batch = a_batch(api, 4)["batch_id"]
    done(post(api, "start", batch=batch))
    done(post(api, "cancel", batch=batch, filter_status="queued"))
    frames = all_frames(api, batch)
    assert [frame["seq"] for frame in frames] == list(range(1, len(frames) + 1)) and len(frames) >= 3
    assert events(api, batch, after=1)["frames"] == frames[1:]
    end = events(api, batch, after=len(frames))
    assert (end["seq"], end["frames"]) == (len(frames), [])


def test_events_outside_the_kept_range_are_answered_with_a_snapshot(api):
    from executor.models import BatchFrame

    batch = a_batch(api)["batch_id"]
    done(post(api, "start", batch=batch))
    last = api.get(f"/api/batches/{batch}").json()["seq"]
    for after in (last + 1, 10**12):
        beyond = events(api, batch, after=after)
        assert (beyond["seq"], beyond["frames"], beyond["snapshot"]["batch_id"]) == (last, [], batch)
    BatchFrame.objects.filter(seq=1).delete()
    assert events(api, batch, after=0)["snapshot"]["seq"] == last


def test_events_answer_soon_after_a_change(api):
    batch = a_batch(api)["batch_id"]
    last = api.get(f"/api/batches/{batch}").json()["seq"]
    delays = []
    for _ in range(3):
        answered = {}

        def ask(after=last, answered=answered):
            answered["events"] = events(api, batch, after=after, wait=20)
            answered["at"] = time.monotonic()

        waiting = threading.Thread(target=ask)
        waiting.start()
        waiting.join(0.4)  # still waiting: nothing has changed
        assert waiting.is_alive()
        done(post(api, "add", function="ok", batch=batch))
        changed = time.monotonic()
        waiting.join(10)
        delays.append(answered["at"] - changed)
        assert [frame["seq"] for frame in answered["events"]["frames"]] == [last + 1]
        last += 1
    assert min(delays) < 0.3, delays


def test_events_wait_ends_at_its_timeout(api):
    batch = a_batch(api)["batch_id"]
    last = api.get(f"/api/batches/{batch}").json()["seq"]
    started = time.monotonic()
    assert events(api, batch, after=last, wait=0.5)["frames"] == []
    assert 0.4 < time.monotonic() - started < 3
    refused(api.get(f"/api/batches/{batch}/events", params={"wait": 61}), 400, "bad_request")


def test_wait_answers_at_a_change_or_at_its_timeout(api):
    batch = a_batch(api, start=True)["batch_id"]
    assert done(post(api, "wait", batch=batch, timeout=0.3))["timed_out"] is True
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(post, api, "wait", batch=batch, timeout=20)
        done(post(api, "cancel", batch=batch))
        answer = done(waiting.result(10))
    assert (answer["state"], answer["timed_out"]) == ("finished", False)


def test_thirty_waiting_requests_do_not_delay_others(api):
    batch = a_batch(api, start=True)["batch_id"]
    with ThreadPoolExecutor(30) as pool:
        waiting = [pool.submit(post, api, "wait", batch=batch, timeout=20) for _ in range(30)]
        started = time.monotonic()
        assert api.get("/api/functions").status_code == 200
        assert time.monotonic() - started < 3
        done(post(api, "cancel", batch=batch))
        assert {done(each.result(15))["state"] for each in waiting} == {"finished"}


# --- reading --------------------------------------------------------------------------------------------


def test_cursor_is_stable_when_tasks_are_deleted_and_added(api):
    batch = a_batch(api, 25)["batch_id"]
    first = api.get(f"/api/batches/{batch}/results", params={"limit": 10}).json()
    assert [task["number"] for task in first["results"]] == list(range(1, 11))
    done(post(api, "cancel", batch=batch, filter_status="queued"))
    done(post(api, "clear", batch=batch, statuses="cancelled"))
    done(post(api, "add_batch", batch=batch, tasks=some(3)))
    rest = api.get(f"/api/batches/{batch}/results", params={"limit": 10, "cursor": first["next_cursor"]}).json()
    assert ([task["number"] for task in rest["results"]], rest["next_cursor"]) == ([26, 27, 28], None)


def test_results_are_filtered_by_status_ids_and_fields(api):
    data = done(
        post(api, "add_batch", tasks=[{"function": "ok", "custom_id": f"c{n}", "name": "n" * 50} for n in range(5)])
    )
    batch = data["batch_id"]
    done(post(api, "cancel", batch=batch, custom_ids=["c1", "c3"]))
    path = f"/api/batches/{batch}/results"
    numbers = lambda **query: [task["number"] for task in api.get(path, params=query).json()["results"]]  # noqa: E731
    assert numbers(filter_status="cancelled") == [2, 4]
    assert numbers(filter_status="cancelled,queued") == [1, 2, 3, 4, 5]
    assert numbers(custom_ids="c4,c0") == [1, 5]
    assert numbers(task_ids=data["task_ids"][2]) == [3]
    assert api.get(path, params={"fields": "number,status", "limit": 1}).json()["results"] == [
        {"number": 1, "status": "queued"}
    ]
    refused(api.get(path, params={"custom_ids": "nope"}), 404, "not_found")
    refused(api.get(path, params={"fields": "nope"}), 400, "bad_request")
    refused(api.get(path, params={"filter_status": "nope"}), 400, "bad_request")


def test_export_agrees_with_results(api):
    batch = a_batch(api, 30)["batch_id"]
    done(post(api, "cancel", batch=batch, task_ids=[all_results(api, batch)[4]["task_id"]]))
    assert_everything_agrees(api, batch)
    answer = api.get(f"/api/batches/{batch}/export", params={"format": "csv", "filter_status": "cancelled"})
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert len(list(csv.reader(io.StringIO(answer.text)))) == 2
    assert api.get(f"/api/batches/{a_batch(api, 1)['batch_id']}/export?filter_status=failed").json() == []
    refused(api.get(f"/api/batches/{batch}/export?format=xml"), 400, "bad_request")
    refused(api.get(f"/api/batches/{uuid4()}/export"), 404, "not_found")


def test_formulas_in_names_are_escaped_in_csv(api):
    names = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "＝1", 'a "quoted"\nline']
    data = done(post(api, "add_batch", tasks=[{"function": "ok", "name": name} for name in names]))
    rows = list(csv.DictReader(io.StringIO(api.get(f"/api/batches/{data['batch_id']}/export?format=csv").text)))
    assert [row["name"] for row in rows] == [*(f"'{name}" for name in names[:-1]), names[-1]]


def test_list_of_batches_is_paged_filtered_and_searched(api):
    made = [a_batch(api, 1, name=f"Batch {n}", start=n == 2)["batch_id"] for n in range(5)]
    page = api.get("/api/batches", params={"limit": 2}).json()
    rest = api.get("/api/batches", params={"limit": 9, "cursor": page["next_cursor"]}).json()
    assert [batch["batch_id"] for batch in page["batches"] + rest["batches"]] == made[::-1]
    assert [batch["name"] for batch in api.get("/api/batches", params={"state": "running"}).json()["batches"]] == [
        "Batch 2"
    ]
    assert [batch["name"] for batch in api.get("/api/batches", params={"q": "h 3"}).json()["batches"]] == ["Batch 3"]


def test_list_of_functions_has_parameters_and_summaries(api):
    functions = {each["name"]: each for each in api.get("/api/functions").json()["functions"]}
    assert functions["simulate"]["parameters"]["properties"]["duration"] and functions["simulate"]["available"] is True
    assert functions["sync_ok"]["summary"].startswith("Return")


def test_unknown_addresses_are_not_found(api):
    for path in (f"/api/batches/{uuid4()}", f"/api/tasks/{uuid4()}", "/api/batches/no-such-name", "/api/tasks/x"):
        refused(api.get(path), 404, "not_found")
    refused(api.get(f"/api/batches/{uuid4()}/events"), 404, "not_found")
    assert api.get("/api/nowhere").status_code == 404
    assert api.post("/api/nowhere", json={}).status_code == 404
    assert "`POST /api/status`" in refused(api.post("/api/statuss", json={}), 404, "not_found")["fix"]
    assert "POST" in refused(api.get("/api/add"), 405, "method_not_allowed")["fix"]


@pytest.mark.parametrize("place", ["batches", "batches/{}/tasks", "batches/{}", "knowledge/documents", "functions"])
def test_unknown_query_parameters_are_refused(api, place):
    path = place.format(a_batch(api)["batch_id"])
    problem = refused(api.get(f"/api/{path}", params={"staus": "failed"}), 400, "bad_request")
    assert problem["errors"] == [{"field": "staus", "reason": "is not known here"}]
    assert ("Did you mean" in problem["fix"]) == (place in ("batches/{}/tasks", "batches")) and problem["fix"]


def test_invalid_host_is_reported_as_a_problem(api, live_server_url):
    problem = refused(api.get("/api/batches", headers={"Host": "elsewhere.example"}), 400, "bad_request")
    assert "host name" in problem["detail"] and "BATCH_HOSTS" in problem["fix"]
    page = httpx.get(f"{live_server_url}/login/", headers={"Host": "elsewhere.example"})
    assert page.status_code == 400 and "<h1>" in page.text


STRANGE = [
    *("\x00", "a\x00b", "²", "٣", "-1", "1e9", "NaN", "9" * 30, "%", "_", "'", '"; drop table', "\u202e", "😀"),
    *("../../etc/passwd", "\\", "x" * 3000, " ", ",", ",,", "null", "[]", "{}", "0" * 40),
]
PLACES = [
    "/api/batches?cursor={}",
    "/api/batches?state={}",
    "/api/batches?q={}",
    "/api/batches?limit={}",
    "/api/batches/{}",
    "/api/tasks/{}",
    "/api/batches/{batch}/tasks?cursor={}",
    "/api/batches/{batch}/tasks?status={}",
    "/api/batches/{batch}/tasks?priority={}",
    "/api/batches/{batch}/tasks?function={}",
    "/api/batches/{batch}/tasks?q={}",
    "/api/batches/{batch}/tasks?offset={}",
    "/api/batches/{batch}/tasks?order={}",
    "/api/batches/{batch}/results?cursor={}",
    "/api/batches/{batch}/results?custom_ids={}",
    "/api/batches/{batch}/results?task_ids={}",
    "/api/batches/{batch}/results?fields={}",
    "/api/batches/{batch}/results?max_chars={}",
    "/api/batches/{batch}/results?limit={}",
    "/api/batches/{batch}/export?format={}",
    "/api/batches/{batch}/events?after={}",
    "/api/batches/{batch}/events?wait={}",
]


def test_unusual_query_values_never_cause_a_server_error(api):
    from urllib.parse import quote

    batch = a_batch(api)["batch_id"]
    cursors = [base64.urlsafe_b64encode(text.encode()).decode() for text in ("x", "0001-01-01T00:00:00+14:00 x")]
    cursors.append(base64.urlsafe_b64encode(f"0001-01-01T00:00:00+14:00 {uuid4()}".encode()).decode())
    cursors.append(base64.urlsafe_b64encode(f"9999-12-31T23:59:59-14:00 {uuid4()}".encode()).decode())
    wrong = []
    for place in PLACES:
        for word in [*STRANGE, *cursors]:
            path = place.replace("{batch}", batch).replace("{}", quote(word, safe=""))
            status = api.get(path).status_code
            if status not in (200, 400, 404):
                wrong.append((status, place, word[:40]))
    assert not wrong, wrong


def test_unusual_arguments_never_cause_a_server_error(shared_db):
    """Actions are called directly: HTTP would only add time."""
    batch = run("add_batch", tasks=some(2))["batch_id"]
    values = [*STRANGE, None, True, -1, 0, 1.5, 2**63, 2**64, 10**40, 1e308, -0.0, [], {}, [[]], [None], {"a": 1}, [{}]]
    values += ["inf", "-inf", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2020-13-45", "12:00"]
    wrong = []
    for action in ACTIONS.values():
        for name in set(action.parameters.model_fields) - ({"timeout", "until"} if action.name == "wait" else set()):
            for value in values:
                arguments = {"batch": batch, "function": "ok", "tasks": some(1), "timeout": 1}
                arguments = {key: arguments[key] for key in arguments if key in action.parameters.model_fields}
                try:
                    run(action.name, **{**arguments, name: value})
                except ExecutorError as error:
                    if error.status not in (400, 403, 404, 409):
                        wrong.append((error.status, action.name, name, str(value)[:40]))
                except Exception as error:
                    wrong.append((repr(error)[:100], action.name, name, str(value)[:40]))
    assert not wrong, wrong
    assert_consistent(batch)


# --- documentation --------------------------------------------------------------------------------------


def test_documentation_requires_a_login(browser_session, live_server_url):
    page = browser_session.get("/api/docs")
    assert page.status_code == 200 and "swagger" in page.text.lower()
    schema = browser_session.get("/api/openapi.json").json()
    assert {f"/api/{name}" for name in [*ACTIONS, "execute"]} <= schema["paths"].keys()
    for name, action in ACTIONS.items():
        body = schema["paths"][f"/api/{name}"]["post"]["requestBody"]["content"]["application/json"]
        assert body["example"] == action.example
        assert body["schema"]["properties"].keys() == action.parameters.model_json_schema()["properties"].keys()
    with client(live_server_url) as anonymous:
        for path in ("/api/docs", "/api/openapi.json"):
            assert anonymous.get(path).status_code in (302, 401)


def test_examples_of_the_documentation_are_accepted(api):
    a_batch(api, 2, name="Numbers")
    done(post(api, "add", function="ok", custom_id="row-17"))
    for name, action in ACTIONS.items():
        if name not in ("export", "wait"):
            assert post(api, name, **action.example).status_code == 200, (name, post(api, name, **action.example).text)


def test_changes_are_recorded_in_the_audit_log(api):
    batch = a_batch(api, 2)["batch_id"]
    for action in ("start", "stop", "cancel", "retry", "clear"):
        done(post(api, action, batch=batch))
    done(post(api, "update", batch=batch, name="x"))
    entries = AuditEntry.objects.order_by("pk").values_list("action", "actor")
    assert [action for action, _ in entries] == ["add_batch", "start", "stop", "cancel", "retry", "clear", "update"]
    assert {actor for _, actor in entries} == {entries[0][1]} and entries[0][1].startswith("token:")


# --- unusual requests ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["self", "action", "arguments", "entry"])
def test_arguments_named_like_internal_parameters_are_unknown(api, name):
    assert name in refused(api.post("/api/status", json={name: 1}), 400, "bad_request")["detail"]
    if name != "action":
        assert (
            name in refused(api.post("/api/execute", json={"action": "status", name: 1}), 400, "bad_request")["detail"]
        )


@pytest.mark.parametrize("query", ["after=99999999999999999999", "attempt=99999999999999999999999", "after=-1"])
def test_out_of_range_positions_are_refused(api, query):
    task = done(api.post("/api/add", json={"function": "ok"}))["task_id"]
    refused(api.get(f"/api/tasks/{task}/log?{query}"), 400, "bad_request")
    batch = api.get(f"/api/tasks/{task}").json()["batch_id"]
    if not query.startswith("attempt"):
        refused(api.get(f"/api/batches/{batch}/events?{query}"), 400, "bad_request")


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/status"), ("DELETE", "/api/batches"), ("PUT", "/api/add")])
def test_unsupported_method_is_reported_as_a_problem(api, method, path):
    answer = api.request(method, path)
    assert method in refused(answer, 405, "method_not_allowed")["detail"]
    assert answer.headers["Allow"]


def test_file_with_invalid_base64_is_refused(api):
    task = {"function": "code_execution", "params": {"code": "x", "files": {"a": {"base64": "%%%"}}}}
    assert "Base64" in str(refused(api.post("/api/add", json=task), 400, "bad_tasks")["errors"])
    task["params"]["files"]["a"]["base64"] = base64.encodebytes(bytes(range(256))).decode()
    done(api.post("/api/add", json=task))


def test_empty_filters_are_ignored(api):
    batch = done(api.post("/api/add_batch", json={"tasks": [{"function": "ok", "custom_id": "a"}]}))["batch_id"]
    page = api.get(f"/api/batches/{batch}/results?custom_ids=&task_ids=&fields=&max_chars=&cursor=").json()
    assert [row["custom_id"] for row in page["results"]] == ["a"]


def test_unknown_state_is_refused(api):
    assert "nonsense" in refused(api.get("/api/batches?state=running,nonsense"), 400, "bad_request")["detail"]
    assert api.get("/api/batches?state=running,open").status_code == 200


def test_errors_do_not_repeat_huge_arguments(api):
    huge = "x" * 1_000_000
    for answer in (
        api.post("/api/add", json={"function": huge}),
        api.post("/api/status", json={huge: 1}),
        api.post("/api/status", json={"batch": huge}),
    ):
        assert answer.status_code in (400, 404) and len(answer.content) < 20_000


def test_update_returns_the_priority_name_and_rejects_invalid_values(api):
    batch = done(api.post("/api/add_batch", json={"tasks": [{"function": "ok"}], "name": "kept"}))["batch_id"]
    assert done(api.post("/api/update", json={"batch": batch, "priority": "4"}))["priority"] == "critical"
    refused(api.post("/api/update", json={"batch": batch, "name": ""}), 400, "bad_request")
    refused(api.post("/api/update", json={"batch": batch, "priority": True}), 400, "bad_request")
    assert api.get(f"/api/batches/{batch}").json()["name"] == "kept"
