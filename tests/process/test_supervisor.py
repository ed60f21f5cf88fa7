"""The parts of `up`: log, children, locks."""

import os
import subprocess
import sys
import threading
import time

import psutil
import pytest

from executor.processes.layout import PROJECT
from executor.supervisor import child as child_module
from executor.supervisor.child import Child, backoff, describe_exit
from executor.supervisor.demo import demo_tasks
from executor.supervisor.lock import lock_holder, take_lock
from executor.supervisor.log import MAX_BUFFERED_LINES, LineSplitter, Log

# --- the log ----------------------------------------------------------------------------------------------


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    yield reading, writing
    for fd in (reading, writing):
        try:
            os.close(fd)
        except OSError:
            pass


def read_all(fd) -> str:
    os.set_blocking(fd, False)
    text = b""
    try:
        while data := os.read(fd, 65536):
            text += data
    except BlockingIOError:
        pass
    return text.decode()


def test_log_aligns_prefixes(pipe):
    log = Log(pipe[1])
    for name in ("web", "worker-1"):
        log.reserve_prefix(name)
    log.line("web", "one")
    log.line("worker-1", "two")
    log.plain("three")
    assert read_all(pipe[0]) == "web      | one\nworker-1 | two\nthree\n"


def test_log_does_not_wait_for_its_reader(pipe):
    log = Log(pipe[1])

    def write():
        for number in range(MAX_BUFFERED_LINES * 2):
            log.line("web", f"{number} {'x' * 100}")

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    writer.join(60)
    assert not writer.is_alive(), "the log waits for its reader"
    text = ""
    for _ in range(200):
        text += read_all(pipe[0])
        log.flush()
    lines = text.splitlines()
    assert lines[0].startswith("web | 0 ") and lines[-1].startswith(f"web | {MAX_BUFFERED_LINES * 2 - 1} ")
    assert any("lines were dropped" in line for line in lines)


def test_log_discards_lines_after_its_reader_has_closed():
    reader, writer = os.pipe()
    os.close(reader)
    log = Log(writer)
    log.line("web", "discarded")
    log.line("web", "discarded too")
    os.close(writer)
    reader, log.fd = os.pipe()
    log.line("web", "written")
    os.close(log.fd)
    with open(reader) as rest:
        assert rest.read() == "web | written\n"


def test_line_splitter_returns_whole_lines():
    lines = LineSplitter()
    assert lines.feed("a\nb\r\nü".encode()[:-1]) == ["a", "b"]
    assert lines.feed("ü".encode()[-1:] + b"\n") == ["ü"]
    assert lines.feed(b"\xff\n") == ["\ufffd"]
    assert len(lines.feed(b"x" * 100_000)) == 1 and lines.end() == []
    lines.feed(b"rest")
    assert lines.end() == ["rest"]


# --- children ---------------------------------------------------------------------------------------------


def test_backoff_grows_to_half_a_minute():
    assert [backoff(times) for times in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]
    assert backoff(10_000) == 30


def test_backoff_resets_after_a_healthy_run(pipe, monkeypatch):
    flaky = Child("flaky", lambda: [sys.executable, "-c", "pass"], Log(pipe[1]), env=dict(os.environ))
    for expected in (1, 2):
        flaky.start()
        flaky.process.wait(60)
        flaky.reap(stopping=False)
        assert flaky.failures == expected and flaky.restart_at is not None
    monkeypatch.setattr(child_module, "HEALTHY_AFTER", 0.0)
    flaky.start()
    flaky.process.wait(60)
    flaky.reap(stopping=False)
    assert flaky.failures == 1


def test_last_output_of_a_child_is_logged(pipe):
    child = Child("c", lambda: [sys.executable, "-c", "print('last', end='')"], Log(pipe[1]), env=dict(os.environ))
    child.start()
    child.process.wait(60)
    child.reap(stopping=True)
    assert read_all(pipe[0]) == "c | last\n" and child.exit_code == 0 and child.restart_at is None


def test_exit_codes_are_described_in_words():
    assert describe_exit(3) == "ended with code 3"
    assert describe_exit(-9) == "was ended by SIGKILL"


# A supervisor in a process of its own, with its own signals and orphans.
SUPERVISOR_PROGRAM = """
import os, sys, time
from executor.supervisor.child import Child
from executor.supervisor.log import Log
from executor.supervisor.supervisor import Supervisor

log = Log()
supervisor = Supervisor(log)
supervisor.install_signal_handlers()
programs = {
    # Its child has a session of its own, and so outlives it.
    "forker": "import subprocess, time; subprocess.Popen(['sleep', '300'], start_new_session=True); time.sleep(300)",
    "stubborn": "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ignoring', flush=True);"
                "time.sleep(300)",
    "quiet": "import os, time; os.close(1); os.close(2); time.sleep(300)",
}
children = [
    supervisor.start(Child(name, lambda code=code: [sys.executable, "-c", code], log, env=dict(os.environ)))
    for name, code in programs.items()
]
log.plain("up")
try:
    supervisor.run()
finally:
    grace_period = float(sys.argv[1])
    supervisor.stop([(children, grace_period)], timeout=grace_period + 4)
    log.plain("stopped")
    log.flush(1)
"""


@pytest.fixture(params=[1])
def supervising(request):
    """Run a supervisor with a grace period of `request.param` seconds."""
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR_PROGRAM, str(request.param)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    yield process
    process.kill()
    process.wait(60)
    process.stdout.close()


def test_stop_ends_all_descendants(supervising, eventually):
    me = psutil.Process(supervising.pid)
    eventually(lambda: "sleep" in {one.name() for one in me.children(recursive=True)})
    descendants = me.children(recursive=True)
    assert len(descendants) == 4
    busy = me.cpu_times().user
    time.sleep(1)
    assert me.cpu_times().user - busy < 0.3  # a closed output does not make the loop spin
    supervising.terminate()
    output, _ = supervising.communicate(timeout=60)
    assert supervising.returncode == 0
    assert "stubborn | ignoring" in output and "stubborn | did not end in time; killed" in output
    assert "forker   | did not" not in output
    assert output.endswith("stopped\n")
    assert not psutil.wait_procs(descendants, timeout=60)[1]


@pytest.mark.parametrize("supervising", [600], indirect=True)
def test_second_stop_request_kills_at_once(supervising, eventually):
    me = psutil.Process(supervising.pid)
    eventually(lambda: "sleep" in {one.name() for one in me.children(recursive=True)})
    descendants = me.children(recursive=True)
    supervising.stdout.readline()
    supervising.terminate()
    eventually(lambda: len(me.children(recursive=True)) < 4, what="the first request is handled")
    supervising.terminate()
    output, _ = supervising.communicate(timeout=60)
    assert output.endswith("stopped\n")
    assert not psutil.wait_procs(descendants, timeout=60)[1]


# --- locks ------------------------------------------------------------------------------------------------


def test_lock_is_exclusive_and_released_with_its_last_holder(tmp_path):
    path = tmp_path / "lock"
    first = take_lock(path)
    assert take_lock(path) is None and lock_holder(path) == str(os.getpid())
    child = subprocess.Popen(["sleep", "60"], pass_fds=[first])
    os.close(first)
    assert take_lock(path) is None  # it was inherited
    child.kill()
    child.wait(60)
    last = take_lock(path)
    assert last is not None
    os.close(last)


# --- the demo ---------------------------------------------------------------------------------------------


def test_demo_is_varied_and_reproducible():
    tasks = demo_tasks()
    assert len(tasks) == 200 and tasks == demo_tasks()
    assert {task["priority"] for task in tasks} == {"critical", "high", "medium", "low"}
    assert {task["function"] for task in tasks} == {"simulate"}
    assert len({task["max_retries"] for task in tasks}) > 1
