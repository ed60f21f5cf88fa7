"""Programs run by the function code_execution."""

import os
import re
import secrets
from pathlib import Path
from uuid import UUID

import pytest

from executor.reads.workers import list_workers
from executor.storage import attempt_log
from tests.support.batches import is_alive, item, run, submit
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def transactional_db(module_db):
    """Not emptied after each test: the worker needs its row."""


@pytest.fixture(scope="module")
def _one(start_worker):
    return start_worker(concurrency=4)


@pytest.fixture(autouse=True)
def one(transactional_db, _one):
    yield _one
    assert _one.alive, _one.log[-4000:]


class Sleeper:
    """A command with a unique argument, so that its processes can be found."""

    def __init__(self):
        self.number = f"600.{secrets.randbelow(10**9):09}"
        self.command = f"sleep {self.number}"

    def pids(self) -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if words[:2] == [b"sleep", self.number.encode()] and is_alive(int(entry.name)):
                    found.append(int(entry.name))
        return found


@pytest.fixture
def sleeper() -> Sleeper:
    return Sleeper()


def code(code: str, **more) -> dict:
    return item("code_execution", code=code, **more)


def test_programs_run(one):
    batch = submit(
        code("print(6 * 7)"),
        code("echo out; echo err >&2; cat", runtime="terminal", stdin="in"),
        code("import sys; print('no', file=sys.stderr); sys.exit(3)", check=False),
    )
    first, second, third = (task["result"] for task in batch.wait().tasks())
    assert (first["stdout"], first["exit_code"], first["stderr"]) == ("42\n", 0, "")
    assert (second["stdout"], second["stderr"]) == ("out\nin", "err\n")
    assert (third["exit_code"], third["stderr"]) == (3, "no\n")


def test_failed_program_reports_exit_code_and_last_output(one):
    numbers = " ".join(map(str, range(1, 12)))
    batch = submit(code(f"for i in {numbers}; do echo line $i >&2; done; exit 5", runtime="terminal", max_retries=0))
    task = batch.wait().task()
    assert task["error_kind"] == "code_failed" and "exit code 5" in task["error"]
    assert "line 11" in task["error"] and "line 3\n" not in task["error"]
    assert task["attempts"][0]["output"]["stderr"].startswith("line 1\n")


def test_timeout_kills_a_program_and_its_children(sleeper):
    batch = submit(code(f"{sleeper.command} & {sleeper.command}", runtime="terminal", timeout=4, max_retries=0))
    eventually(lambda: len(sleeper.pids()) >= 2)
    assert batch.wait().task()["error_kind"] == "timeout"
    eventually(lambda: not sleeper.pids())


def test_cancel_kills_a_program_and_its_children(sleeper):
    batch = submit(code(f"{sleeper.command} & {sleeper.command}", runtime="terminal"))
    eventually(lambda: len(sleeper.pids()) >= 2)
    run("cancel", batch=batch.id)
    assert batch.wait().statuses() == ["cancelled"]
    eventually(lambda: not sleeper.pids())


def test_large_output_is_truncated_in_bounded_memory(one):
    script = "import sys\nfor _ in range(100): sys.stdout.write('x' * 1_000_000)\nprint('the end')"
    before = peak(one.pid)
    result = submit(code(script)).wait().tasks()[0]["result"]
    assert result["truncated"] and len(result["stdout"]) < 200_000 and result["stdout"].endswith("the end\n")
    assert re.search(r"bytes", result["stdout"])
    assert peak(one.pid) - before < 40_000_000


def peak(pid: int) -> int:
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def test_grandchild_with_an_open_pipe_does_not_delay_the_task(sleeper):
    result = submit(code(f"{sleeper.command} & echo done", runtime="terminal")).wait().tasks()[0]["result"]
    assert result["stdout"] == "done\n"
    eventually(lambda: not sleeper.pids())


def test_program_sees_no_secrets_of_the_worker(one):
    assert os.environ["SECRET_KEY"]
    script = "import os; print(dict(os.environ), os.getcwd(), os.listdir('.'))"
    output = submit(code(script)).wait().tasks()[0]["result"]["stdout"]
    for word in ("SECRET", "REDIS", "DATABASE", os.getcwd(), "sqlite"):
        assert word not in output


def test_sandbox_level_is_reported_by_worker_and_result(one):
    result = submit(code("print(1)")).wait().tasks()[0]["result"]
    [node] = [each for each in list_workers() if each["state"] == "active"]
    assert result["sandbox"] == node["sandbox"]
    assert node["sandbox"]["level"] == "isolated" and "seccomp" in node["sandbox"]["layers"]


def test_files_are_passed_in_and_returned():
    script = "import pathlib; pathlib.Path('out').mkdir(); pathlib.Path('out/sum').write_text(open('in/n').read() * 2)"
    result = submit(code(script, files={"in/n": "21"})).wait().tasks()[0]["result"]
    assert result["files"] == {"out/sum": "2121"}


def test_each_failure_has_its_own_kind():
    ends = {
        "code_killed": code("kill -SEGV $$", runtime="terminal"),
        "code_memory": code("x = bytearray(300 * 2**20)", memory_mb=64),
        "timeout": code("while True: pass", timeout=0.5),
    }
    batch = submit(*({**task, "max_retries": 0} for task in ends.values())).wait()
    assert [task["error_kind"] for task in batch.tasks()] == list(ends)


def test_output_is_readable_while_the_program_runs():
    batch = submit(code("import time\nprint('first', flush=True)\ntime.sleep(30)"))
    batch_id = UUID(batch.id)
    eventually(lambda: "first" in attempt_log.read(batch_id, 1, 1).text)
    run("cancel", batch=batch.id)
