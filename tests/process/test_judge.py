"""A mixed batch of two thousand tasks, driven over HTTP with real workers.

Afterwards status, results, exports and events are compared with each other and with the invariants.
"""

import csv
import io
import json
import random

import httpx
import pytest

from tests.process.conftest import FAST
from tests.support.batches import assert_answers_agree
from tests.support.waiting import eventually

COUNT = 2000
LIMIT = 30


class Agent:
    """A client that uses the HTTP API alone."""

    def __init__(self, url: str, token: str):
        self.http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=90)

    def do(self, action: str, **arguments) -> dict:
        answer = self.http.post(f"/api/{action}", json=arguments)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def get(self, path: str, **query):
        answer = self.http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def frames(self, batch: str) -> list[dict]:
        found, after = [], 0
        while (part := self.get(f"/api/batches/{batch}/events", after=after))["frames"]:
            found += part["frames"]
            after = part["seq"]
        return found

    def results(self, batch: str) -> list[dict]:
        found, cursor = [], None
        while True:
            part = self.get(f"/api/batches/{batch}/results", limit=500, **({"cursor": cursor} if cursor else {}))
            found += part["results"]
            if (cursor := part["next_cursor"]) is None:
                return found


@pytest.fixture
def agent(live_server_url, api_token):
    one = Agent(live_server_url, api_token)
    yield one
    one.http.close()


def mixed() -> list[dict]:
    """Return two thousand tasks. The custom id of each names its expected outcome."""
    chance = random.Random(7)
    kinds = {
        "ok": {"function": "simulate", "params": {"duration": 0}},
        "slow": {"function": "simulate", "params": {"duration": 0.05}},
        "plain": {"function": "sync_ok", "params": {"value": "x"}},
        "fails": {"function": "raises", "params": {}, "max_retries": 2, "retry_delay": 0},
        "fails_later": {"function": "raises", "max_retries": 1, "retry_delay": 0.1},
        "recovers": {"function": "simulate", "params": {"duration": 0, "fail_times": 2}, "retry_delay": 0},
        "final": {"function": "raises_odd", "params": {"what": "not_retryable"}, "max_retries": 5},
        "timeout": {"function": "nap", "params": {"seconds": 30}, "timeout": 0.2, "max_retries": 0},
        "doomed": {"function": "nap", "params": {"seconds": 30}, "priority": "low"},
    }
    weights = {"ok": 60, "slow": 12, "plain": 8, "fails": 6, "fails_later": 3, "recovers": 6, "final": 2, "timeout": 1}
    tasks = []
    for n in range(COUNT):
        kind = "doomed" if n % 40 == 39 else chance.choices([*weights], weights.values())[0]
        priority = chance.choice(("critical", "high", "medium", "low"))
        tasks.append({"priority": priority, **kinds[kind], "custom_id": f"{kind}-{n}", "name": f"Task {n}"})
    return tasks


def test_mixed_batch_is_consistent_in_all_answers(agent, worker):
    workers = [worker(concurrency=20, env=FAST), worker(concurrency=20, env=FAST)]
    tasks = mixed()
    added = agent.do("add_batch", tasks=tasks, name="Mixed")
    batch = added["batch_id"]
    doomed = [task["custom_id"] for task in tasks if task["custom_id"].startswith("doomed")]
    status = agent.do("status", batch=batch)
    assert (status["state"], status["request_counts"]["queued"]) == ("open", COUNT)

    # Half of the doomed go before anything starts, the others while they wait or run.
    assert agent.do("cancel", batch=batch, custom_ids=doomed[::2])["cancelled"] == len(doomed[::2])
    agent.do("start", batch=batch, max_concurrent=LIMIT)
    eventually(lambda: agent.do("status", batch=batch)["request_counts"]["completed"] > COUNT / 10)

    agent.do("stop", batch=batch)
    assert agent.do("wait", batch=batch, timeout=30)["state"] == "stopped"
    stopped = agent.get(f"/api/batches/{batch}")
    for each in workers:
        each.wait_for_heartbeat()
    assert agent.get(f"/api/batches/{batch}")["seq"] == stopped["seq"], "a stopped batch has changed"
    assert stopped["request_counts"]["running"] == 0 < stopped["request_counts"]["queued"]

    agent.do("start", batch=batch, max_concurrent=LIMIT)
    eventually(lambda: agent.do("status", batch=batch)["request_counts"]["completed"] > COUNT / 4)
    late = agent.do("add", batch=batch, function="ok", priority="critical", custom_id="late", name="Late")
    after = agent.get(f"/api/batches/{batch}")["seq"]
    agent.do("update", batch=batch, max_concurrent=2 * LIMIT)
    eventually(lambda: agent.do("status", batch=batch)["request_counts"]["completed"] > COUNT / 2)
    workers[0].kill()
    agent.do("cancel", batch=batch, custom_ids=doomed[1::2])

    def finished():
        return agent.do("wait", batch=batch, timeout=20)["state"] == "finished"

    eventually(finished, timeout=180, describe=lambda: str(agent.do("status", batch=batch)["request_counts"]))

    # --- from every side ---
    shown, results, frames = agent.get(f"/api/batches/{batch}"), agent.results(batch), agent.frames(batch)
    assert_answers_agree(shown, results, frames)
    assert shown["stats"]["progress_percentage"] == 100 and shown["stats"]["total_tasks"] == COUNT + 1
    assert agent.do("status", batch=batch, detailed=True)["request_counts"] == shown["request_counts"]
    export = f"/api/batches/{batch}/export"
    assert _rounded(agent.get(export, format="json")) == results
    lines = agent.http.get(export, params={"format": "jsonl"}).text.splitlines()
    assert _rounded([json.loads(line) for line in lines]) == results
    rows = list(csv.DictReader(io.StringIO(agent.http.get(export, params={"format": "csv"}).text)))
    assert [(row["number"], row["status"], row["attempt"], row["error"]) for row in rows] == [
        (str(task["number"]), task["status"], str(task["attempt"]), task["error"] or "") for task in results
    ]
    assert [task["task_id"] for task in results] == [*added["task_ids"], late["task_id"]]

    # --- each task came to what it had to ---
    for task in results:
        kind = task["custom_id"].split("-")[0]
        summary = {
            name: task[name] for name in ("custom_id", "status", "attempt", "retry_count", "error", "error_kind")
        }
        lost = lost_attempts(frames, task["number"])
        match kind:
            case "ok" | "slow" | "plain" | "late":
                assert task["status"] == "completed" and task["retry_count"] == lost, summary
            case "fails" | "fails_later":
                allowed = 2 if kind == "fails" else 1
                assert (task["status"], task["attempt"]) == ("failed", allowed + 1), summary
                assert task["error"] == "ValueError: it broke" or task["error_kind"] == "worker_lost", summary
            case "recovers":
                assert task["status"] == "completed" and 2 <= task["retry_count"] <= 2 + lost, summary
            case "final":
                assert task["status"] == "failed" and task["attempt"] == 1 + lost, summary
            case "timeout":
                assert (task["status"], task["attempt"]) == ("failed", 1), summary
                assert task["error_kind"] == ("worker_lost" if lost else "timeout"), summary
            case "doomed":
                assert task["status"] == "cancelled", summary
        assert task["attempt"] <= task["max_retries"] + 1, summary
    rescued = [n for n in range(1, COUNT + 2) if lost_attempts(frames, n)]
    # It may have claimed ahead of its slots, but no more than may run at once.
    assert len(rescued) <= 2 * LIMIT, "more were charged than the dead worker could hold"

    # --- in order, and never too many ---
    limit, running = LIMIT, set()
    for frame in frames:
        for number, letter, *_ in frame["changes"]:
            running.discard(number)
            if letter == "r":
                running.add(number)
        limit = LIMIT if frame["seq"] <= after else 2 * LIMIT
        assert len(running) <= limit, frame["seq"]
    assert_priorities(frames, results)


def lost_attempts(frames: list[dict], number: int) -> int:
    if not hasattr(lost_attempts, "known") or lost_attempts.known[0] is not frames:
        counted: dict[int, int] = {}
        for frame in frames:
            for change in frame["changes"]:
                if change[1] in "qf" and "has sent no heartbeat" in (change[7] or ""):
                    counted[change[0]] = counted.get(change[0], 0) + 1
        lost_attempts.known = frames, counted
    return lost_attempts.known[1].get(number, 0)


def assert_priorities(frames: list[dict], results: list[dict]) -> None:
    """No task is claimed while one of a higher priority has waited since an earlier commit without a reason."""
    rank = {"critical": 4, "high": 3, "medium": 2, "low": 1}
    priority = {task["number"]: rank[task["priority"]] for task in results}
    waits: set[int] = set()
    started = 0
    for frame in frames:
        claimed = [change[0] for change in frame["changes"] if change[1] == "r"]  # in one commit, in no order
        started += len(claimed)
        waits -= set(claimed)
        lowest = min((priority[number] for number in claimed), default=4)
        above = [other for other in waits if priority[other] > lowest]
        assert not above, f"frame {frame['seq']}: one of {claimed} went before {above[:5]}"
        for number, letter, _, _, _, _, retry_in, _ in frame["changes"]:
            if letter == "q" and retry_in is None:
                waits.add(number)  # from the next commit on it could have gone
            elif letter != "q":
                waits.discard(number)
    assert started >= len(results) - 50


def _rounded(tasks: list[dict]) -> list[dict]:
    """SQLite's own rounding, by which exports are made, may be off by the last bit of a float."""
    return [{**task, "execution_time": task["execution_time"] and round(task["execution_time"], 6)} for task in tasks]
