"""The monitor of one run, from its request to its answer. It is the ancestor of every process of the run.

It watches the worker's end of the connection while the program runs: when that is closed, deliberately or because the
worker died, the run ends at once and leaves nothing behind.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import socket
import time

from executor.processes import framing
from executor.processes.groups import kill_group
from executor.processes.linux import LINUX, become_subreaper

from . import files, launch, limits, process_tree

FIRST_MEMORY_CHECK, FIRST_FILES_CHECK = 0.03, 0.25  # seconds after the start


def monitor(connection: socket.socket, output: int, errors: int) -> None:
    """Read the request, run it and send the answer. Raises nothing."""
    try:
        wake, signalled = os.pipe()
        os.set_blocking(signalled, False)
        signal.set_wakeup_fd(signalled, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        become_subreaper()
        request = next(framing.messages(connection.recv), None)
        if request is None:
            return  # the worker closed its end
        answer = Run(json.loads(request), connection, wake).execute(output, errors)
    except Exception as error:
        answer = {"ended": "not started", "error": f"{type(error).__name__}: {error}"}
    try:
        connection.sendall(framing.pack(json.dumps(answer).encode()))
    except OSError:
        pass  # the worker closed its end


class Run:
    """State of one run. `ended` is empty while the program runs, then the reason of its end."""

    def __init__(self, request: dict, connection: socket.socket, wake: int):
        self.request, self.connection, self.wake = request, connection, wake
        self.workspace = ""  # path of the program's files in the host's file system, if they lie there
        self.program: launch.Launch  # set by the start
        self.status: int | None = None
        self.ended = ""
        self.error = ""
        self.peak_memory = 0

    def execute(self, output: int, errors: int) -> dict:
        """Run the program to its end and return the answer. Raises OSError when it cannot be started."""
        try:
            started = time.monotonic()
            self._start(output, errors)
            self._supervise(started)
            duration = time.monotonic() - started
            all_ended = process_tree.kill_descendants() if LINUX else _kill_group(self.program.pid)
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            return {
                "ended": self.ended,
                "error": self.error or ("" if all_ended else "processes of the program could not be killed"),
                "status": self.status,
                "duration": duration,
                "cpu_seconds": used.ru_utime + used.ru_stime,
                "peak_memory": max(self.peak_memory, used.ru_maxrss * (1024 if LINUX else 1)),
                "files": self._collect_files(),
            }
        finally:
            if LINUX:
                process_tree.kill_descendants()
            if self.workspace:
                files.remove(self.workspace)

    def _start(self, output: int, errors: int) -> None:
        if launch.needs_workspace(self.request):
            # Set before it is created: a workspace that could not be filled is removed as well.
            self.workspace = f"{self.request['temp']}/batch-code-{os.urandom(8).hex()}"
            launch.fill_workspace(self.request, self.workspace)
        self.program = launch.start(self.request, output, errors, self.workspace)

    def _collect_files(self) -> dict:
        if self.ended == "stopped" or self.program.folder < 0:
            return {}
        return files.collect(self.program.folder, self.request["files"], self.request["return_files"])

    def _supervise(self, started: float) -> None:
        """Wait for the program's end, and enforce its limits of time, memory and files until then."""
        poll = select.poll()
        for readable in (self.connection, self.wake, self.program.status):
            poll.register(readable, select.POLLIN)
        deadline = started + self.request["timeout"]
        next_memory_check = started + FIRST_MEMORY_CHECK
        next_files_check = started + FIRST_FILES_CHECK if self.workspace else float("inf")
        while not self.ended:
            now = time.monotonic()
            if now >= deadline:
                self.ended = "timeout"
                break
            if now >= next_memory_check:
                next_memory_check = now + self._check_memory()
            if now >= next_files_check:
                next_files_check = self._check_files(now)
            pause = min(deadline, next_memory_check, next_files_check) - time.monotonic()
            for descriptor, _ in poll.poll(max(0, pause * 1000)):
                if descriptor == self.connection.fileno():
                    self.ended = "stopped"  # the worker sends nothing while a program runs: it closed its end
                elif descriptor == self.wake:
                    os.read(self.wake, 4096)
                elif not self._read_status():
                    poll.unregister(self.program.status)
            self._reap()

    def _check_memory(self) -> float:
        """Compare the memory with the limit; return the seconds until the next check.

        Programs that are small and steady are checked less often.
        """
        if not LINUX:
            return 3600.0
        init = self.program.pid if self.request["launcher"] == "namespaces" else None
        pids = [pid for pid in process_tree.descendants(os.getpid()) if pid != init]
        used = process_tree.memory_of(pids)
        calm = self.peak_memory and used < self.request["memory_mb"] * 262_144
        self.peak_memory = max(self.peak_memory, used)
        if used > self.request["memory_mb"] * 1024 * 1024:
            self.ended = "memory"
        return 0.2 if calm else 0.05

    def _check_files(self, started: float) -> float:
        """Compare the workspace with its limits; return the time of the next check, later after a slow one."""
        reason = files.larger_than(self.program.folder, limits.ENTRIES, limits.SCRATCH * 1024 * 1024)
        if reason:
            self.ended, self.error = "files", reason
        return time.monotonic() + 0.2 + 4 * (time.monotonic() - started)

    def _read_status(self) -> bool:
        """Read one message of the launcher; return False at the end of its messages."""
        try:
            text, descriptors, _, _ = socket.recv_fds(self.program.status, 65536, 1)
        except ConnectionError:
            return False
        if not text:
            return False
        message = json.loads(text)
        if descriptors:
            self.program.folder = descriptors[0]
        if "error" in message:
            self.ended, self.error = "not started", message["error"]
        if "status" in message and not self.ended:
            self.ended, self.status = "exit", message["status"]
        return True

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid != self.program.pid:
                continue
            while not self.ended and self._read_status():
                pass  # the last messages, where this process is the namespace's init and not the program
            if not self.ended:
                self.ended, self.status = "exit", status


def _kill_group(pid: int) -> bool:
    kill_group(pid)
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass  # reaped before
    return True
