"""Programs that exceed their limits or refuse to end, at every level. `contain` checks that nothing of them is left."""

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


def test_memory_of_a_single_process_is_limited(contain):
    code = "kept = []\nwhile True: kept.append(bytearray(b'1') * (4 * 2**20))"
    finished = contain(code=code, memory_mb=128)
    assert finished["ended"] == "memory" or "MemoryError" in finished["stderr"]
    assert finished["peak_memory"] < 200 * MEGA


def test_memory_is_summed_over_processes(contain):
    code = """
import os, time
for _ in range(8):
    if not os.fork():
        kept = bytearray(b"1") * (60 * 2**20)
        time.sleep(20)
time.sleep(20)
"""
    started = time.monotonic()
    finished = contain(code=code, memory_mb=128)
    assert finished["ended"] == "memory"
    assert time.monotonic() - started < 6
    assert 128 * MEGA < finished["peak_memory"] < 500 * MEGA


def test_shared_memory_counts_towards_the_limit(contain):
    code = """
import mmap, time
kept = []
while True:
    kept.append(mmap.mmap(-1, 8 * 2**20))
    kept[-1].write(b"1" * (8 * 2**20))
"""
    finished = contain(code=code, memory_mb=64)
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


def test_number_of_processes_is_limited(contain):
    finished = contain(code=FORKS, memory_mb=1024)
    assert finished["ended"] == "exit", finished
    assert 10 < int(finished["stdout"]) <= 80  # where the user's processes are counted, others may end meanwhile


def test_fork_bomb_ends_at_its_timeout(contain):
    # FORKS verifies the limit first: without one a fork bomb would take down this machine.
    bomb = FORKS + "for _ in range(10**9):\n    try: os.fork()\n    except OSError: pass\n"
    first = contain(code=FORKS, memory_mb=1024)
    assert int(first["stdout"]) <= 80
    started = time.monotonic()
    finished = contain(code=bomb, timeout=0.7, memory_mb=1024)
    assert finished["ended"] in ("timeout", "memory")
    assert time.monotonic() - started < 4


@pytest.mark.parametrize("how", ["loop", "sleep"])
def test_program_that_ignores_signals_ends_at_its_timeout(contain, how):
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


def test_grandchild_that_holds_the_pipe_delays_nothing(contain):
    code = """
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
    finished = contain(code=code)
    assert finished["exit_code"] == 0 and "done" in finished["stdout"]
    assert time.monotonic() - started < 5


def test_orphans_are_reaped(contain):
    code = """
import os
for _ in range(25):
    if not os.fork():
        if not os.fork(): os._exit(0)
        os._exit(0)
print("ok")
"""
    assert contain(code=code)["stdout"] == "ok\n"


def test_cancelled_program_ends_at_once(contain):
    started = time.monotonic()
    sleepers = "import os, time\nif not os.fork(): os.setsid()\nos.fork(); os.fork()\ntime.sleep(60)"
    assert contain(code=sleepers, cancel_after=0.3)["ended"] == "cancelled"
    assert time.monotonic() - started < 3


# --- output -----------------------------------------------------------------------------------------------------


def test_long_output_does_not_grow_the_worker(contain, driver, variant):
    size = 1024 if variant.launcher in ("namespaces", "restricted") and variant.worker == "ordinary" else 64
    before = driver.ask(variant, {"argv": ["/bin/true"]})["state"]["memory"]
    code = f"""
import os
chunk = b"x" * 2**20
for _ in range({size}):
    left = chunk
    while left: left = left[os.write(1, left):]
"""
    finished = contain(code=code)
    assert finished["ended"] == "exit" and finished["exit_code"] == 0, finished["ended"]
    assert finished["truncated"] and finished["output_length"] == size * MEGA
    assert len(finished["stdout"]) < 70_000
    assert finished["state"]["memory"] - before < 16 * MEGA


def test_output_that_is_not_utf8_is_replaced(contain):
    code = "import os; os.write(1, bytes(range(256))); os.write(2, b'\\xe2\\x82'); os.write(2, b'\\xac')"
    finished = contain(code=code)
    assert finished["stderr"] == "€" and "�" in finished["stdout"]


# --- files --------------------------------------------------------------------------------------------------------


def test_number_of_files_is_limited(contain):
    code = "for n in range(1_000_000): open(f'f{n}', 'w').close()"
    finished = contain(code=code, return_files=[])
    assert finished["ended"] == "files" or "No space left" in finished["stderr"]


def test_size_of_a_file_is_limited(contain):
    finished = contain(code="f = open('f', 'wb'); f.seek(2**30); f.write(b'x'); f.flush()")
    assert finished["exit_code"] != 0
    assert finished["files"] == {"f": ""}


@pytest.mark.on_disk
def test_sum_of_file_sizes_is_limited(contain):
    code = """
chunk = b"x" * 2**20
for n in range(100):
    with open(f"f{n}", "wb") as f:
        for _ in range(100): f.write(chunk)
"""
    assert contain(code=code, return_files=[])["ended"] == "files"


def test_folders_deeper_than_a_path_can_name_are_removed(contain):
    code = """
import os
for _ in range(1200):
    os.mkdir("d" * 50)
    os.chdir("d" * 50)
open("deepest", "w").write("x")
print("ok")
"""
    assert contain(code=code)["stdout"] == "ok\n"


def test_folder_without_permissions_is_removed(contain):
    # Created without permissions: chmod is denied at some levels.
    finished = contain(code="import os\nos.umask(0o777)\nos.mkdir('shut')\nopen('closed', 'w').close()\nprint('ok')")
    assert finished["stdout"] == "ok\n"


def test_links_and_pipes_are_not_returned(contain, driver):
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
            pytest.fail("a file of the host was returned")
        assert all(content["skipped"] == "it is not a regular file" for content in finished["files"].values())
        assert contain(code=code)["files"] == {"real": "mine"}
    finally:
        secret.unlink()


def test_files_above_the_limits_are_named_as_skipped(contain):
    finished = contain(code="for n in range(150): open(f'{n:03}', 'w').write(str(n))")
    assert len(finished["files"]) == 101 and finished["files"]["099"] == "99"
    assert finished["files"]["…"]["skipped"]
    finished = contain(code="open('big', 'wb').write(b'x' * (3 * 2**20))")
    assert finished["files"] == {"big": {"skipped": "it is larger than 2097152 bytes", "size": 3 * MEGA}}


def test_files_are_collected_after_all_processes_have_ended(contain):
    """A surviving process cannot replace a folder by a link during the collection."""
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


def test_programs_run_concurrently(contain):
    finished = contain(code="import os; open('f', 'w').write('x'); print(os.listdir('.'))", times=6)
    for one in [finished, *finished["all"]]:
        assert one["ended"] == "exit" and sorted(one["files"]) == ["f"], one


def test_programs_end_with_their_killed_worker(variant):
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


def test_killed_fork_server_is_replaced(variant):
    driver = Driver(ordinary=is_root() and variant.worker == "ordinary")
    try:
        first = driver.ask(variant, {"argv": ["/bin/true"]})["state"]["server"]
        os.kill(first, signal.SIGKILL)
        eventually(lambda: Path(f"/proc/{first}/stat").read_text().split(") ")[1][0] == "Z", what="it is dead")
        finished = driver.ask(variant, {"argv": ["/bin/sh", "-c", "echo again"]})
        assert finished["stdout"] == "again\n" and finished["state"]["server"] != first
    finally:
        driver.close()
