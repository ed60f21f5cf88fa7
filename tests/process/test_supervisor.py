"""The parts of `up`: its log, its children, its locks."""

import os
import subprocess
import sys
import threading
import time

import psutil
import pytest

from executor.processes.layout import PROJECT
from executor.supervisor import child as child_module
from executor.supervisor.child import Child, backoff, ending
from executor.supervisor.demo import demo_tasks
from executor.supervisor.lock import holder, take_lock
from executor.supervisor.log import HELD, Lines, Log

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


def test_prefixes_are_aligned(pipe):
    log = Log(pipe[1])
    for name in ("web", "worker-1"):
        log.expect(name)
    log.line("web", "one")
    log.line("worker-1", "two")
    log.plain("three")
    assert read_all(pipe[0]) == "web      | one\nworker-1 | two\nthree\n"


def test_a_reader_that_stops_does_not_stop_us(pipe):
    log = Log(pipe[1])

    def write():
        for number in range(HELD * 2):
            log.line("web", f"{number} {'x' * 100}")

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    writer.join(10)
    assert not writer.is_alive(), "it waits for its reader"
    text = ""
    for _ in range(200):
        text += read_all(pipe[0])
        log.flush()
    lines = text.splitlines()
    assert lines[0].startswith("web | 0 ") and lines[-1].startswith(f"web | {HELD * 2 - 1} ")
    assert any("lines were not read" in line for line in lines)


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


def test_lines_are_cut_whole():
    lines = Lines()
    assert lines.feed("a\nb\r\nü".encode()[:-1]) == ["a", "b"]
    assert lines.feed("ü".encode()[-1:] + b"\n") == ["ü"]
    assert lines.feed(b"\xff\n") == ["\ufffd"]
    assert len(lines.feed(b"x" * 100_000)) == 1 and lines.end() == []
    lines.feed(b"rest")
    assert lines.end() == ["rest"]


# --- children ---------------------------------------------------------------------------------------------


def test_pauses_between_starts_grow_to_half_a_minute():
    assert [backoff(times) for times in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]
    assert backoff(10_000) == 30


def test_failures_are_forgotten_after_a_healthy_life(pipe, monkeypatch):
    flaky = Child("flaky", lambda: [sys.executable, "-c", "pass"], Log(pipe[1]), env=dict(os.environ))
    for expected in (1, 2):
        flaky.start()
        flaky.process.wait(10)
        flaky.ended(stopping=False)
        assert flaky.failures == expected and flaky.due is not None
    monkeypatch.setattr(child_module, "HEALTHY", 0.0)
    flaky.start()
    flaky.process.wait(10)
    flaky.ended(stopping=False)
    assert flaky.failures == 1


def test_the_last_words_of_a_child_are_kept(pipe):
    child = Child("c", lambda: [sys.executable, "-c", "print('last', end='')"], Log(pipe[1]), env=dict(os.environ))
    child.start()
    child.process.wait(10)
    child.ended(stopping=True)
    assert read_all(pipe[0]) == "c | last\n" and child.exit_code == 0 and child.due is None


def test_endings_are_told_in_words():
    assert ending(3) == "ended with code 3"
    assert ending(-9) == "was ended by SIGKILL"


# A supervisor of its own process: its signals and its orphans are not those of the tests.
FAMILY = """
import os, sys, time
from executor.supervisor.child import Child
from executor.supervisor.log import Log
from executor.supervisor.supervisor import Supervisor

log = Log()
supervisor = Supervisor(log)
supervisor.listen_to_signals()
words = {
    # It starts a grandchild in a session of its own, which therefore outlives it.
    "leaver": "import subprocess, time; subprocess.Popen(['sleep', '300'], start_new_session=True); time.sleep(300)",
    "stubborn": "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True);"
                "time.sleep(300)",
    "quiet": "import os, time; os.close(1); os.close(2); time.sleep(300)",
}
children = [
    supervisor.start(Child(name, lambda code=code: [sys.executable, "-c", code], log, env=dict(os.environ)))
    for name, code in words.items()
]
log.plain("up")
try:
    supervisor.run()
finally:
    began = time.monotonic()
    supervisor.stop([(children, 1.0)], within=5)
    log.plain(f"down after {time.monotonic() - began:.1f}")
    log.flush(1)
"""


@pytest.fixture
def family():
    process = subprocess.Popen(
        [sys.executable, "-c", FAMILY], cwd=PROJECT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    yield process
    process.kill()
    process.wait(10)
    process.stdout.close()


def test_nobody_is_left_behind(family, eventually):
    me = psutil.Process(family.pid)
    eventually(lambda: "sleep" in {one.name() for one in me.children(recursive=True)})
    everyone = me.children(recursive=True)
    assert len(everyone) == 4
    busy = me.cpu_times().user
    time.sleep(1)
    assert me.cpu_times().user - busy < 0.3  # a closed output does not keep it busy
    family.terminate()
    told, _ = family.communicate(timeout=15)
    assert family.returncode == 0
    assert "stubborn | deaf" in told and "stubborn | does not end; killed" in told
    assert "leaver   | does not" not in told
    assert "down after 1." in told
    assert not psutil.wait_procs(everyone, timeout=2)[1]


def test_asking_twice_ends_it_at_once(family, eventually):
    me = psutil.Process(family.pid)
    eventually(lambda: "sleep" in {one.name() for one in me.children(recursive=True)})
    everyone = me.children(recursive=True)
    family.stdout.readline()
    family.terminate()
    time.sleep(0.2)
    family.terminate()
    told, _ = family.communicate(timeout=15)
    assert "down after 0." in told
    assert not psutil.wait_procs(everyone, timeout=2)[1]


# --- locks ------------------------------------------------------------------------------------------------


def test_a_lock_is_held_by_one_and_freed_by_its_end(tmp_path):
    path = tmp_path / "lock"
    first = take_lock(path)
    assert take_lock(path) is None and holder(path) == str(os.getpid())
    heir = subprocess.Popen(["sleep", "60"], pass_fds=[first])
    os.close(first)
    assert take_lock(path) is None  # it was inherited
    heir.kill()
    heir.wait(10)
    last = take_lock(path)
    assert last is not None
    os.close(last)


# --- the demo ---------------------------------------------------------------------------------------------


def test_the_demo_is_varied_and_always_the_same():
    tasks = demo_tasks()
    assert len(tasks) == 200 and tasks == demo_tasks()
    assert {task["priority"] for task in tasks} == {"critical", "high", "medium", "low"}
    assert {task["function"] for task in tasks} == {"simulate"}
    assert len({task["max_retries"] for task in tasks}) > 1
