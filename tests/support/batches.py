"""A batch as a test sees it: added and controlled through `BatchExecutor`, then checked from every side."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from executor.access import caller_of_shell
from executor.actions import BatchExecutor
from executor.domain.states import STATUS_OF_LETTER
from executor.reads import lists
from tests.support.waiting import eventually

FINAL = {"completed", "failed", "cancelled"}
NOBODYS = "5f0c0f4e-0000-4000-8000-00000000b0d1"  # an id that no batch and no task has


def run(action: str, **arguments) -> dict:
    """Carry out an action as the command line does; its data."""
    return BatchExecutor(caller_of_shell()).execute(action, **arguments).data


def item(function: str, /, **more) -> dict:
    """One task: what is no field of a task is a parameter of the function."""
    fields = {"priority", "max_retries", "retry_delay", "timeout", "custom_id", "run_at", "task_name"}
    task = {name.removeprefix("task_"): more.pop(name) for name in fields & more.keys()}
    return {"function": function, "params": more, "retry_delay": 0, **task}


def submit(*items: dict, start: bool = True, **more) -> Handle:
    """Add a batch and start it."""
    data = run("add_batch", tasks=list(items), start=start, **more)
    return Handle(data["batch_id"], data["task_ids"])


@dataclass
class Handle:
    """A batch by its id."""

    id: str
    task_ids: list[str]

    def tasks(self) -> list[dict]:
        """All tasks by number."""
        return every_task(self.id)

    def task(self, number: int = 1) -> dict:
        """One task with its attempts."""
        return lists.task(self.task_ids[number - 1])

    def status(self) -> dict:
        return lists.batch(self.id)

    def counts(self) -> dict[str, int]:
        return self.status()["request_counts"]

    def statuses(self) -> list[str]:
        return [task["status"] for task in self.tasks()]

    def wait(self, state: str = "finished", timeout: float = 20) -> Handle:
        eventually(
            lambda: self.status()["state"] == state, timeout=timeout, what=f"the batch is {state}", told=self.told
        )
        return self

    def wait_running(self, count: int = 1, timeout: float = 10) -> Handle:
        eventually(
            lambda: self.counts()["running"] >= count, timeout=timeout, what=f"{count} tasks run", told=self.told
        )
        return self

    def wait_retried(self, timeout: float = 10) -> Handle:
        """Until the first task has failed once and was put back, or has failed for good."""
        eventually(
            lambda: self.tasks()[0]["attempt"] and self.tasks()[0]["status"] != "running",
            timeout=timeout,
            what="the first attempt has ended",
            told=self.told,
        )
        return self

    def told(self) -> str:
        shown = ("number", "function", "status", "attempt", "error_kind", "error", "run_after", "worker")
        lines = [str({name: task[name] for name in shown if task[name]})[:300] for task in self.tasks()[:20]]
        return "\n".join([str(self.counts()), *lines])


# --- what must be true of every batch, whatever was done to it ---------------------------------------------


def assert_true_to_itself(batch_id: str) -> None:
    """Counters, rows, log and attempts tell the same story."""
    rows = every_task(batch_id)
    assert_consistent(lists.batch(batch_id), rows, frames_of(batch_id))
    for row in rows:
        task = lists.task(row["task_id"])
        numbers = [attempt["number"] for attempt in task["attempts"]]
        kept = task["attempt"] - (task["status"] in ("completed", "running"))
        assert numbers == list(range(1, kept + 1)), (task["number"], task["status"], numbers)


def every_task(batch_id: str) -> list[dict]:
    rows, cursor = [], None
    while True:
        page = lists.results(batch_id, cursor=cursor, limit=1000)
        rows += page.items
        cursor = page.next_cursor
        if cursor is None:
            return rows


def frames_of(batch_id: str) -> list[dict]:
    read = lists.frames(batch_id, 0)
    assert not read.gone
    return [
        {"seq": seq, "changes": json.loads(changes), "counts": json.loads(counts)}
        for seq, _, changes, counts in read.frames
    ]


def assert_consistent(batch: dict, tasks: list[dict], frames: list[dict]) -> None:
    """Status, results and event feed agree with each other."""
    counted = Counter(task["status"] for task in tasks)
    counts = batch["request_counts"]
    assert counts == {status: counted.get(status, 0) for status in counts}
    assert sum(counts.values()) == batch["stats"]["total_tasks"] == len(tasks)
    waiting = Counter(task["priority"] for task in tasks if task["status"] == "queued")
    assert batch["stats"]["queued_by_priority"] == {
        name: waiting.get(name, 0) for name in ("critical", "high", "medium", "low")
    }
    spent = sum(task["execution_time"] or 0 for task in tasks if task["status"] in ("completed", "failed"))
    assert abs(batch["stats"]["total_execution_time"] - spent) < 0.001 * max(1, len(tasks))

    assert [frame["seq"] for frame in frames] == list(range(1, len(frames) + 1))
    assert not frames or frames[-1]["seq"] == batch["seq"]
    assert_folds(frames, tasks)


def assert_folds(frames: Iterable[dict], tasks: list[dict]) -> None:
    """Folding the log gives the tasks' statuses, every step in it is a legal one, and its counts are right."""
    legal = {
        None: {"q"},
        "q": {"r", "x"},
        "r": {"c", "f", "x", "q"},
        "c": {"-"},
        "f": {"q", "-"},
        "x": {"q", "-"},
    }
    now: dict[int, str] = {}
    claims: dict[int, int] = defaultdict(int)
    for frame in frames:
        for number, letter, attempt, *_ in frame["changes"]:
            before = now.get(number)
            assert letter in legal[before], f"task {number}: {before} → {letter} in frame {frame['seq']}"
            if letter == "r":
                claims[number] += 1
                assert attempt == claims[number], f"task {number}: claim {claims[number]} is called attempt {attempt}"
            now[number] = letter
            if letter == "-":
                del now[number]
        held = Counter(STATUS_OF_LETTER[letter] for letter in now.values())
        for status in ("queued", "running", "completed", "failed", "cancelled"):
            # One commit may write several frames, with the counts of its end: only the last of them must agree.
            frame.setdefault("off", {})[status] = frame["counts"][status] - held[status]
    assert not frames or not any(frames[-1]["off"].values()), frames[-1]["off"]
    assert {number: str(STATUS_OF_LETTER[letter]) for number, letter in now.items()} == {
        task["number"]: task["status"] for task in tasks
    }


# --- what really ran -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mark:
    word: str
    number: int
    attempt: int
    pid: int
    at: float


def marks(path: Path) -> list[Mark]:
    """Return the lines that the tasks have noted."""
    lines = path.read_text().splitlines() if path.exists() else []
    parts = [line.split() for line in lines]
    return [Mark(word, int(number), int(attempt), int(pid), float(at)) for word, number, attempt, pid, at in parts]


def most_at_once(found: list[Mark]) -> int:
    """How many ran at the same time at most, by the clock on the wall."""
    running = most = 0
    for mark in sorted(found, key=lambda mark: (mark.at, mark.word == "start")):
        running += 1 if mark.word == "start" else -1
        most = max(most, running)
    return most


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def processes_with(word: str) -> list[int]:
    """Living processes that have this text in their environment: a worker's name finds all that it started."""
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
