"""Child processes: message framing, process groups, death with the parent."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from executor.processes import framing
from executor.processes.groups import kill_group
from executor.processes.spawning import PROJECT, bare_python, spawn
from tests.support.batches import is_alive
from tests.support.waiting import eventually


@pytest.mark.parametrize("size", [1, 3, 4, 5, 1000])
def test_messages_are_decoded_from_chunks_of_any_size(size):
    bodies = [b"", b"a", b"0123", b"x" * 3000]
    stream = b"".join(map(framing.pack, bodies))
    chunks = iter([stream[start : start + size] for start in range(0, len(stream), size)])
    assert list(framing.messages(lambda _: next(chunks, b""))) == bodies


def test_truncated_message_is_not_delivered():
    chunks = iter([framing.pack(b"whole"), framing.pack(b"truncated")[:-1]])
    assert list(framing.messages(lambda _: next(chunks, b""))) == [b"whole"]


def test_decoder_rejects_a_message_above_its_limit():
    decoder = framing.Decoder(max_size=10)
    assert list(decoder.feed(framing.pack(b"x" * 10))) == [b"x" * 10]
    with pytest.raises(framing.MessageTooLarge):
        list(decoder.feed(framing.pack(b"x" * 11)[:4]))


def test_kill_group_ends_a_child_and_its_descendants():
    child = spawn(["/bin/sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE, text=True)
    grandchild = int(child.stdout.readline())
    kill_group(child.pid)
    assert child.wait(5) == -signal.SIGKILL
    child.stdout.close()
    eventually(lambda: not is_alive(grandchild), what="the grandchild has ended")


def test_kill_group_ignores_a_group_that_has_ended():
    child = spawn(["/bin/true"])
    child.wait(5)
    assert kill_group(child.pid) is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux sends a signal when the parent ends")
def test_spawned_child_ends_with_its_parent():
    code = "child = spawn(['/bin/sleep', '60']); print(child.pid, flush=True); os.kill(os.getpid(), 9)"
    parent = subprocess.run(
        [sys.executable, "-c", f"import os; from executor.processes.spawning import spawn; {code}"],
        capture_output=True,
        text=True,
    )
    child = int(parent.stdout)
    eventually(lambda: not is_alive(child), what="the child has ended")


def test_command_wrapper_ends_its_program_with_its_parent():
    command = bare_python("executor.processes.die_with_parent", "/bin/sh", "-c", "echo $$; sleep 60")
    shell = ["/bin/sh", "-c", '"$@" & wait', "sh", *command]
    with subprocess.Popen(shell, stdout=subprocess.PIPE, text=True, start_new_session=True) as parent:
        program = int(parent.stdout.readline())
        parent.kill()
    eventually(lambda: not is_alive(program), what="the program has ended")


@pytest.mark.parametrize("module", ["processes.spawning", "processes.die_with_parent", "sandbox.jail.fork_server"])
def test_modules_import_without_site_packages(module):
    code = f"import sys; sys.path.insert(0, sys.argv[1]); import executor.{module}"
    subprocess.run([sys.executable, "-I", "-S", "-c", code, str(PROJECT)], check=True)
