"""Mutation tests: each guard must have a test that fails without it. `python -m tests.mutation [WORD …]`.

Each guard is removed in a copy of the project, and the tests that must notice are run there. Prints a table, and ends
with code 1 when a guard's removal was not noticed. Words choose the guards whose names have them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
PARTS = ("batchsite", "executor", "templates", "static", "tests", "manage.py", "pyproject.toml", "docs")
SECONDS = 240  # for the tests of one guard

QUEUE, BOOKS, DISPATCH, LEDGER = (
    "executor/queue/batch_queue.py",
    "executor/queue/locked_batch.py",
    "executor/queue/dispatch.py",
    "executor/worker/completer.py",
)
GUARDS_OF_ENDS = "tests/queue/test_guards.py"


@dataclass(frozen=True)
class Guard:
    """`edits` are (file, what stands there, what stands there without the guard); `tests` must turn red then."""

    name: str
    edits: tuple[tuple[str, str, str], ...]
    tests: str


GUARDS = (
    Guard(
        "attempt, of what completes",
        (
            (QUEUE, "AND {_TASK}.attempt = outcome.attempt AND", "AND"),
            (QUEUE, "outcome = by_attempt[task_id, attempt]", "outcome = outcomes[0]"),
        ),
        GUARDS_OF_ENDS,
    ),
    Guard(
        "attempt, of what ends otherwise",
        (
            (QUEUE, "outcome = by_attempt.get((task_id, attempt))", "outcome = outcomes[0]"),
            (QUEUE, "AND {_TASK}.attempt = ended.attempt AND", "AND"),
        ),
        GUARDS_OF_ENDS,
    ),
    Guard(
        "attempt, of tickets",
        ((QUEUE, "if (task.task_id, task.attempt + 1) in attempts", "if True"),),
        GUARDS_OF_ENDS,
    ),
    Guard("attempt, counted up", ((QUEUE, "attempt = attempt + 1, worker", "attempt = 1, worker"),), GUARDS_OF_ENDS),
    Guard(
        "worker, of what completes",
        ((QUEUE, "= outcome.attempt AND {_TASK}.worker = %s", "= outcome.attempt AND %s <> ''"),),
        GUARDS_OF_ENDS,
    ),
    Guard(
        "worker, of what ends otherwise",
        (
            (QUEUE, "AND worker = %s AND status = 'running'\n\"\"\"\n_END",
             "AND %s <> '' AND status = 'running'\n\"\"\"\n_END"),
            (QUEUE, "= ended.attempt AND {_TASK}.worker = %s", "= ended.attempt AND %s <> ''"),
        ),
        GUARDS_OF_ENDS,
    ),
    Guard(
        "status, at the claim",
        (
            (QUEUE, "AND batch_id = %s AND status = 'queued' AND run_after IS NULL\n\"\"\"\n_DISPATCH",
             "AND batch_id = %s AND run_after IS NULL\n\"\"\"\n_DISPATCH"),
            (QUEUE, "AND status = 'queued' AND run_after IS NULL\n    RETURNING",
             "AND run_after IS NULL\n    RETURNING"),
        ),
        "tests/queue/test_moves.py",
    ),
    Guard(
        "status, of what completes",
        ((QUEUE, "AND {_TASK}.status = 'running' AND {_TASK}.cancel", "AND {_TASK}.cancel"),),
        GUARDS_OF_ENDS,
    ),
    Guard(
        "status, of what ends otherwise",
        (
            (QUEUE, "worker = %s AND status = 'running'\n\"\"\"\n_END", "worker = %s\n\"\"\"\n_END"),
            (QUEUE, "{_TASK}.worker = %s\n      AND {_TASK}.status = 'running'\n\"\"\"", "{_TASK}.worker = %s\n\"\"\""),
        ),
        GUARDS_OF_ENDS,
    ),
    Guard(
        "batch running",
        ((BOOKS, '"running"] if self.state == BatchState.RUNNING else 0', '"running"]'),),
        "tests/queue/test_batches.py",
    ),
    Guard(
        "slot limit",
        ((BOOKS, 'return self.max_concurrent - self.counters["running"]', "return 1000"),),
        "tests/queue/test_slots.py",
    ),
    Guard(
        "frame sequence, without a hole",
        ((BOOKS, 'counters["seq"] += 1', 'counters["seq"] += 1 + (counters["seq"] == 2)'),),
        "tests/queue/test_batches.py",
    ),
    Guard(
        "frame sequence, each number once",
        ((BOOKS, 'counters["seq"] += 1', 'counters["seq"] = max(1, counters["seq"])'),),
        "tests/queue/test_batches.py",
    ),
    Guard(
        "a cancel wins",
        ((QUEUE, " AND {_TASK}.cancel_requested_at IS NULL", ""),),
        "tests/queue/test_batches.py",
    ),
    Guard(
        "priority, at the claim",
        ((QUEUE, "if slots and tasks and book.waits_above", "if False and book.waits_above"),),
        "tests/queue/test_slots.py",
    ),
    Guard(
        "heartbeat, asked again under the lock",
        ((DISPATCH, "dead = node.filter(~heard)", "dead = node"),),
        "tests/queue/test_races.py",
    ),
    Guard(
        "claims whose commit was not answered",
        ((LEDGER, "queue.record_outcomes([*page.outcomes, *self._doubtful]", "queue.record_outcomes(page.outcomes"),),
        "tests/faults/test_lost_answers.py",
    ),
)  # fmt: skip


def main(words: list[str]) -> int:
    chosen = [guard for guard in GUARDS if not words or any(word in guard.name for word in words)]
    folder = Path(tempfile.mkdtemp(prefix="bx-mutation-", dir="/tmp"))
    unnoticed = 0
    print(f"{'guard':<42} {'tests':<36} {'without it':<12} seconds")
    try:
        for part in PARTS:
            copy = shutil.copytree if (PROJECT / part).is_dir() else shutil.copy
            copy(PROJECT / part, folder / part)
        _check_that_all_is_green(sorted({guard.tests for guard in chosen}), folder)
        for guard in chosen:
            began = time.monotonic()
            red, first = noticed(guard, folder)
            unnoticed += not red
            told = "red" if red else "GREEN"
            print(f"{guard.name:<42} {guard.tests:<36} {told:<12} {time.monotonic() - began:.1f}  {first}", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{len(chosen) - unnoticed} of {len(chosen)} were noticed")
    return 1 if unnoticed else 0


def _check_that_all_is_green(tests: list[str], folder: Path) -> None:
    """Refuse tests that fail with all guards in place: they notice nothing."""
    done = run(tests, folder)
    if done.returncode:
        raise SystemExit(f"The tests are red with all guards in place:\n{done.stdout[-3000:]}{done.stderr[-2000:]}")
    print(f"{'(none is removed)':<42} {'all of these':<36} green", flush=True)


def run(tests: list[str], folder: Path) -> subprocess.CompletedProcess:
    # -x: one red test is enough. Interpreter and packages are ours, the code is the copy's.
    argv = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", "--tb=line", *tests]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS)


def noticed(guard: Guard, folder: Path) -> tuple[bool, str]:
    """Whether the tests turn red without the guard, and the first that did."""
    for file, there, without in guard.edits:
        path = folder / file
        text = path.read_text()
        if text.count(there) != 1:
            raise SystemExit(
                f"{guard.name}: {file} has {text.count(there)} times {there!r}; say where the guard is now"
            )
        path.write_text(text.replace(there, without))
    try:
        done = run([guard.tests], folder)
    finally:
        for file, _, _ in guard.edits:
            shutil.copy(PROJECT / file, folder / file)
    if done.returncode not in (0, 1):  # neither all green nor a test that failed: nothing was tested
        raise SystemExit(f"{guard.name}: the tests did not run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return done.returncode == 1, failed[0].partition("::")[2].split(" - ")[0] if failed else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
