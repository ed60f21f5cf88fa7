"""Programs that want too much, or do not want to end. At every level, and nothing of them may be left (`contain`)."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.support.waiting import eventually

from .variants import Driver, is_root, marked, processes_with, python

MEGA = 1024 * 1024


# --- memory -------------------------------------------------------------------------------------------------


def test_a_hog_of_one_process_gets_no_more_than_its_memory(contain):
    hog = "kept = []\nwhile True: kept.append(bytearray(b'1') * (4 * 2**20))"
    finished = contain(code=hog, memory_mb=128)
    assert finished["ended"] == "memory" or "MemoryError" in finished["stderr"]
    assert finished["peak_memory"] < 200 * MEGA


def test_a_hog_of_eight_processes_is_killed(contain):
    hog = """
import os, time
for _ in range(8):
    if not os.fork():
        kept = bytearray(b"1") * (60 * 2**20)
        time.sleep(20)
time.sleep(20)
"""
    started = time.monotonic()
    finished = contain(code=hog, memory_mb=128)
    assert finished["ended"] == "memory"
    assert time.monotonic() - started < 6
    assert 128 * MEGA < finished["peak_memory"] < 500 * MEGA


def test_shared_memory_counts_as_well(contain):
    hog = """
import mmap, time
kept = []
while True:
    kept.append(mmap.mmap(-1, 8 * 2**20))
    kept[-1].write(b"1" * (8 * 2**20))
"""
    finished = contain(code=hog, memory_mb=64)
    assert finished["ended"] == "memory" or finished["exit_code"] != 0
    assert finished["peak_memory"] < 400 * MEGA


# --- processes ------------------------------------------------------------------------------------------------

FORKS = """
import os, resource, time
soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
assert 0 < hard < 2000, hard
made = 0
try:
    while made < 2200:
        if not os.fork():
            time.sleep(30)
        made += 1
except OSError:
    pass
print(made, flush=True)
"""


def test_there_is_an_end_to_forking(contain):
    finished = contain(code=FORKS, memory_mb=1024)
    assert finished["ended"] == "exit", finished
    assert 10 < int(finished["stdout"]) <= 80  # where the count is the user's, others may end meanwhile


def test_a_fork_bomb_is_over_with_its_time(contain):
    # The limit was verified just before: a bomb without one would take this machine with it.
    bomb = FORKS + "for _ in range(10**9):\n    try: os.fork()\n    except OSError: pass\n"
    first = contain(code=FORKS, memory_mb=1024)
    assert int(first["stdout"]) <= 80
    started = time.monotonic()
    finished = contain(code=bomb, timeout=0.7, memory_mb=1024)
    assert finished["ended"] in ("timeout", "memory")
    assert time.monotonic() - started < 4


@pytest.mark.parametrize("how", ["loop", "sleep"])
def test_who_ignores_signals_is_over_with_its_time(contain, how):
    stubborn = """
import os, signal, time
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True:
    try:
        if HOW == "sleep": time.sleep(1000)
    except BaseException: pass
"""
    finished = contain(code=f"HOW = {how!r}\n{stubborn}", timeout=0.4)
    assert finished["ended"] == "timeout"
    assert finished["duration"] < 1.4


def test_a_grandchild_that_keeps_the_pipe_keeps_nobody_waiting(contain):
    leaving = """
import os, time
if not os.fork():
    os.setsid()
    if not os.fork():
        print("still here", flush=True)
        time.sleep(60)
    os._exit(0)
os.wait()
time.sleep(0.1)
print("done", flush=True)
"""
    started = time.monotonic()
    finished = contain(code=leaving)
    assert finished["exit_code"] == 0 and "done" in finished["stdout"]
    assert time.monotonic() - started < 5


def test_a_flood_of_zombies(contain):
    flood = """
import os
for _ in range(25):
    if not os.fork():
        if not os.fork(): os._exit(0)
        os._exit(0)
print("ok")
"""
    assert contain(code=flood)["stdout"] == "ok\n"


def test_a_cancelled_program_ends_at_once(contain):
    started = time.monotonic()
    sleepers = "import os, time\nif not os.fork(): os.setsid()\nos.fork(); os.fork()\ntime.sleep(60)"
    assert contain(code=sleepers, cancel_after=0.3)["ended"] == "cancelled"
    assert time.monotonic() - started < 3


# --- output -----------------------------------------------------------------------------------------------------


def test_a_gibibyte_without_a_newline_does_not_grow_the_worker(contain, driver, variant):
    size = 1024 if variant.launcher in ("namespaces", "restricted") and variant.worker == "ordinary" else 64
    before = driver.ask(variant, {"argv": ["/bin/true"]})["state"]["memory"]
    flood = f"""
import os
chunk = b"x" * 2**20
for _ in range({size}):
    left = chunk
    while left: left = left[os.write(1, left):]
"""
    finished = contain(code=flood)
    assert finished["ended"] == "exit" and finished["exit_code"] == 0, finished["ended"]
    assert finished["truncated"] and finished["told"] == size * MEGA
    assert len(finished["stdout"]) < 70_000
    assert finished["state"]["memory"] - before < 16 * MEGA


def test_output_that_is_no_text(contain):
    code = "import os; os.write(1, bytes(range(256))); os.write(2, b'\\xe2\\x82'); os.write(2, b'\\xac')"
    finished = contain(code=code)
    assert finished["stderr"] == "€" and "�" in finished["stdout"]


# --- files --------------------------------------------------------------------------------------------------------


def test_a_million_small_files_are_not_made(contain):
    flood = "for n in range(1_000_000): open(f'f{n}', 'w').close()"
    finished = contain(code=flood, return_files=[])
    assert finished["ended"] == "files" or "No space left" in finished["stderr"]


def test_a_large_file_is_not_made(contain):
    finished = contain(code="f = open('f', 'wb'); f.seek(2**30); f.write(b'x'); f.flush()")
    assert finished["exit_code"] != 0
    assert finished["files"] == {"f": ""}


@pytest.mark.on_disk
def test_many_large_files_are_not_made(contain):
    flood = """
chunk = b"x" * 2**20
for n in range(100):
    with open(f"f{n}", "wb") as f:
        for _ in range(100): f.write(chunk)
"""
    assert contain(code=flood, return_files=[])["ended"] == "files"


def test_folders_too_deep_to_be_named_are_removed(contain):
    dig = """
import os
for _ in range(1200):
    os.mkdir("d" * 50)
    os.chdir("d" * 50)
open("deepest", "w").write("x")
print("ok")
"""
    assert contain(code=dig)["stdout"] == "ok\n"


def test_a_folder_that_nobody_may_enter_is_removed(contain):
    # Made without permissions from the start: chmod is not to be had at every level.
    finished = contain(code="import os\nos.umask(0o777)\nos.mkdir('shut')\nopen('closed', 'w').close()\nprint('ok')")
    assert finished["stdout"] == "ok\n"


def test_links_and_pipes_are_no_results(contain, driver):
    secret = driver.folder / "secret-result"
    secret.write_text("the secret")
    secret.chmod(0o644)
    code = f"""
import os, socket
os.symlink({str(secret)!r}, "link")
os.symlink("/etc/passwd", "passwd")
os.symlink("/", "root")
os.mkfifo("pipe")
os.mkdir("folder"); os.symlink("..", "folder/up")
try: os.link({str(secret)!r}, "hard")
except OSError: pass
open("real", "w").write("mine")
"""
    try:
        finished = contain(code=code, return_files=["*"])
        assert finished["ended"] == "exit" and finished["exit_code"] == 0, finished
        assert finished["files"].pop("real") == "mine"
        assert finished["files"].pop("attack.py")
        assert set(finished["files"]) >= {"link", "passwd", "root", "pipe", "folder/up"}
        if "hard" in finished["files"] and finished["files"]["hard"] == "the secret":
            pytest.fail("a file of the host came back")
        assert all(content["skipped"] == "it is no plain file" for content in finished["files"].values())
        assert contain(code=code)["files"] == {"real": "mine"}
    finally:
        secret.unlink()


def test_more_files_than_come_back_are_told_of(contain):
    finished = contain(code="for n in range(150): open(f'{n:03}', 'w').write(str(n))")
    assert len(finished["files"]) == 101 and finished["files"]["099"] == "99"
    assert finished["files"]["…"]["skipped"]
    finished = contain(code="open('big', 'wb').write(b'x' * (3 * 2**20))")
    assert finished["files"] == {"big": {"skipped": "it is larger than 2097152 bytes", "size": 3 * MEGA}}


def test_a_folder_that_becomes_a_link_after_the_program_ended_is_impossible(contain):
    """Nothing lives when the files are collected: a program that leaves somebody behind to swap them finds out."""
    code = """
import os, time
os.mkdir("a"); open("a/f", "w").write("mine")
if not os.fork():
    os.setsid()
    while True:
        try:
            os.rename("a", "b"); os.symlink("/etc", "a"); os.unlink("a"); os.rename("b", "a")
        except OSError: pass
time.sleep(0.2)
"""
    finished = contain(code=code, return_files=["a/*", "b/*"])
    assert {content for content in finished["files"].values() if isinstance(content, str)} <= {"mine"}


# --- the worker and its server --------------------------------------------------------------------------------------


def test_many_programs_at_once(contain):
    finished = contain(code="import os; open('f', 'w').write('x'); print(os.listdir('.'))", times=6)
    for one in [finished, *finished["all"]]:
        assert one["ended"] == "exit" and sorted(one["files"]) == ["f"], one


def test_when_the_worker_is_killed_its_programs_end_and_nothing_is_left(variant):
    driver = Driver(ordinary=is_root() and variant.worker == "ordinary")
    try:
        sleeper = "import os, time\nif not os.fork():\n    os.setsid()\n    os.fork()\ntime.sleep(60)"
        program, mark = marked({"argv": [python(), "main.py"], "files": {"main.py": {"text": sleeper}}, "timeout": 30})
        driver.process.stdin.write(
            json.dumps({"launcher": variant.launcher, "user": variant.user, "program": program}) + "\n"
        )
        driver.process.stdin.flush()
        eventually(lambda: len(processes_with(mark)) >= 3, what="the program and its children run")
        driver.process.send_signal(signal.SIGKILL)
        driver.process.wait(5)
        eventually(lambda: not processes_with(mark), timeout=3, what="no process is left")
        eventually(lambda: not list(driver.temp.iterdir()), timeout=3, what="no folder is left")
    finally:
        driver.close()


def test_a_server_that_was_killed_is_replaced(variant):
    driver = Driver(ordinary=is_root() and variant.worker == "ordinary")
    try:
        first = driver.ask(variant, {"argv": ["/bin/true"]})["state"]["server"]
        os.kill(first, signal.SIGKILL)
        eventually(lambda: Path(f"/proc/{first}/stat").read_text().split(") ")[1][0] == "Z", what="it is dead")
        finished = driver.ask(variant, {"argv": ["/bin/sh", "-c", "echo again"]})
        assert finished["stdout"] == "again\n" and finished["state"]["server"] != first
    finally:
        driver.close()
