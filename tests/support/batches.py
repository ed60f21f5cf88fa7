"""Batches of tests: added and controlled through `BatchExecutor`, then checked for consistency."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from executor.access import caller_of_shell
from executor.actions import BatchExecutor
from executor.domain.states import CLEARED, STATUS_OF_LETTER
from executor.reads.batches import get_batch
from executor.reads.frames import frames_after
from executor.reads.results import list_results
from executor.reads.tasks import get_task
from executor.testbed.auditor import audit
from tests.support.waiting import TIMEOUT, eventually

FINAL = {"completed", "failed", "cancelled"}
UNKNOWN_ID = "5f0c0f4e-0000-4000-8000-00000000b0d1"  # an id that no batch and no task has


def run(action: str, **arguments) -> dict:
    """Run an action as the command line does, and return its data."""
    return BatchExecutor(caller_of_shell()).execute(action, **arguments).data


def item(function: str, /, **more) -> dict:
    """Return a task item. Arguments that are no fields of a task are parameters of its function."""
    fields = {"priority", "max_retries", "retry_delay", "timeout", "custom_id", "run_at", "task_name"}
    task = {name.removeprefix("task_"): more.pop(name) for name in fields & more.keys()}
    return {"function": function, "params": more, "retry_delay": 0, **task}


def submit(*items: dict, start: bool = True, **more) -> Handle:
    """Add a batch, start it, and return its handle."""
    data = run("add_batch", tasks=list(items), start=start, **more)
    return Handle(data["batch_id"], data["task_ids"])


@dataclass
class Handle:
    """A batch by its id."""

    id: str
    task_ids: list[str]

    def tasks(self) -> list[dict]:
        """Return all tasks by number."""
        return every_task(self.id)

    def task(self, number: int = 1) -> dict:
        """Return one task with its attempts."""
        return get_task(self.task_ids[number - 1])

    def status(self) -> dict:
        return get_batch(self.id)

    def counts(self) -> dict[str, int]:
        return self.status()["request_counts"]

    def statuses(self) -> list[str]:
        return [task["status"] for task in self.tasks()]

    def wait(self, state: str = "finished", timeout: float = TIMEOUT) -> Handle:
        eventually(
            lambda: self.status()["state"] == state,
            timeout=timeout,
            what=f"the batch is {state}",
            describe=self.describe,
        )
        return self

    def wait_running(self, count: int = 1, timeout: float = TIMEOUT) -> Handle:
        eventually(
            lambda: self.counts()["running"] >= count,
            timeout=timeout,
            what=f"{count} tasks run",
            describe=self.describe,
        )
        return self

    def wait_retried(self, timeout: float = TIMEOUT) -> Handle:
        """Wait until the first attempt of the first task has ended."""
        eventually(
            lambda: self.tasks()[0]["attempt"] and self.tasks()[0]["status"] != "running",
            timeout=timeout,
            what="the first attempt has ended",
            describe=self.describe,
        )
        return self

    def describe(self) -> str:
        shown = ("number", "function", "status", "attempt", "error_kind", "error", "run_after", "worker")
        lines = [str({name: task[name] for name in shown if task[name]})[:300] for task in self.tasks()[:20]]
        return "\n".join([str(self.counts()), *lines])


# --- invariants of every batch -----------------------------------------------------------------------------


def assert_consistent(batch_id: str) -> None:
    """Audit a batch that does not change meanwhile."""
    breaches = audit(batch_id).breaches
    assert not breaches, "\n".join(f"invariant {number}: {description}" for number, description in breaches[:20])


def every_task(batch_id: str) -> list[dict]:
    rows, cursor = [], None
    while True:
        page = list_results(batch_id, cursor=cursor, limit=1000)
        rows += page.items
        cursor = page.next_cursor
        if cursor is None:
            return rows


def frames_of(batch_id: str) -> list[dict]:
    read = frames_after(batch_id, 0)
    assert not read.gone
    return [
        {"seq": seq, "changes": json.loads(changes), "counts": json.loads(counts)}
        for seq, _, changes, counts in read.frames
    ]


def assert_answers_agree(batch: dict, tasks: list[dict], frames: list[dict]) -> None:
    """Audit a batch, and compare its status, all its results and all its frames."""
    assert_consistent(batch["batch_id"])
    assert batch["request_counts"] == {status: 0 for status in batch["request_counts"]} | Counter(
        task["status"] for task in tasks
    )
    assert batch["stats"]["total_tasks"] == len(tasks)
    assert frames[-1]["seq"] == batch["seq"] == len(frames)
    last_changes = {change[0]: change[1] for frame in frames for change in frame["changes"]}
    statuses = {number: STATUS_OF_LETTER[letter] for number, letter in last_changes.items() if letter != CLEARED}
    assert statuses == {task["number"]: task["status"] for task in tasks}


# --- calls and processes -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mark:
    word: str
    number: int
    attempt: int
    pid: int
    at: float


def marks(path: Path) -> list[Mark]:
    """Return the marks that task functions have written."""
    lines = path.read_text().splitlines() if path.exists() else []
    parts = [line.split() for line in lines]
    return [Mark(word, int(number), int(attempt), int(pid), float(at)) for word, number, attempt, pid, at in parts]


def most_at_once(found: list[Mark]) -> int:
    """Return how many calls ran at the same time at most."""
    running = most = 0
    for mark in sorted(found, key=lambda mark: (mark.at, mark.word == "start")):
        running += 1 if mark.word == "start" else -1
        most = max(most, running)
    return most


def is_alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def processes_with(word: str) -> list[int]:
    """Return the living processes with this text in their environment: all descendants of a worker have its name."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid() and is_alive(int(entry.name)):
            try:
                if word.encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except (OSError, PermissionError):
                pass
    return found


def kill_process(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
