"""One run from its order to its answer. A process of its own, which every process of the run ends up below.

It listens to the worker while the program runs: when that closes its end, by will or by dying, the run ends at once
and leaves nothing.
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
from executor.processes.linux import LINUX, become_subreaper, die_with_parent, prctl

from . import bubblewrap, confine, files, landlock, limits, namespaces, seccomp, system, tree, visible


def keep(line: socket.socket, output: int, errors: int) -> None:
    """Read the order, run it, answer. Raises nothing."""
    try:
        wake, signalled = os.pipe()
        os.set_blocking(signalled, False)
        signal.set_wakeup_fd(signalled, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        become_subreaper()
        order = next(framing.messages(line.recv), None)
        if order is None:
            return  # the worker closed its end
        answer = Run(json.loads(order), line, wake).answer(output, errors)
    except Exception as error:
        answer = {"ended": "not started", "error": f"{type(error).__name__}: {error}"}
    try:
        line.sendall(framing.pack(json.dumps(answer).encode()))
    except OSError:
        pass  # the worker wants no answer any more


class Run:
    """What one run has and has come to."""

    def __init__(self, order: dict, line: socket.socket, wake: int):
        self.order, self.line, self.wake = order, line, wake
        self.folder = -1  # where the program's files are
        self.on_disk = ""
        self.told: socket.socket | None = None
        self.status: int | None = None
        self.ended = ""
        self.error = ""
        self.peak = 0

    def answer(self, output: int, errors: int) -> dict:
        """Run it to its end and say what came of it."""
        try:
            started = time.monotonic()
            self._start(output, errors)
            self._watch(started)
            duration = time.monotonic() - started
            nothing_left = tree.end_all() if LINUX else _end_group(self.pid)
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            return {
                "ended": self.ended,
                "error": self.error or ("" if nothing_left else "processes of the program could not be killed"),
                "status": self.status,
                "duration": duration,
                "cpu_seconds": used.ru_utime + used.ru_stime,
                "peak_memory": max(self.peak, used.ru_maxrss * (1024 if LINUX else 1)),
                "files": self._collect(),
            }
        finally:
            if LINUX:
                tree.end_all()
            if self.on_disk:
                files.remove(self.on_disk)

    def _collect(self) -> dict:
        if self.ended == "stopped" or self.folder < 0:
            return {}
        return files.collect(self.folder, self.order["files"], self.order["return_files"])

    # --- the start -----------------------------------------------------------------------------------

    def _start(self, output: int, errors: int) -> None:
        streams = (_readable(self.order["stdin"], self.order["temp"]), output, errors)
        if self.order["user"] is not None:
            for stream in (output, errors):  # else it could write to them, but not open /dev/stderr
                os.fchown(stream, self.order["user"], self.order["group"])
        if self.order["launcher"] == "namespaces":
            self.pid, self.told = namespaces.start(self.order, streams)
        else:
            self._make_folder()
            self.pid, self.told = self._fork(streams)
        for stream in streams:
            os.close(stream)

    def _make_folder(self) -> None:
        order = self.order
        self.on_disk = f"{order['temp']}/batch-code-{os.urandom(8).hex()}"
        os.mkdir(self.on_disk, 0o700)
        for name in ("job", "tmp"):
            os.mkdir(f"{self.on_disk}/{name}", 0o700)
        files.write(f"{self.on_disk}/job", order["files"])
        if order["user"] is not None:
            for place, folders, names in os.walk(self.on_disk):
                for name in [".", *folders, *names]:
                    os.chown(f"{place}/{name}", order["user"], order["group"])
        self.folder = os.open(f"{self.on_disk}/job", os.O_RDONLY | os.O_DIRECTORY)

    def _fork(self, streams: tuple[int, int, int]) -> tuple[int, socket.socket]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        keeper = os.getpid()
        pid = os.fork()
        if pid:
            theirs.close()
            return pid, ours
        try:
            confine.take_streams(streams, keep=theirs.fileno())
            os.setsid()
            confine.be_first_to_go()
            confine.drop_user(self.order)
            if not die_with_parent(keeper):
                os._exit(confine.ENDED_BEFORE_EXEC)
            _BECOME[self.order["launcher"]](self.order, self.on_disk)
        except BaseException as error:
            theirs.send(json.dumps({"error": f"{type(error).__name__}: {error}"}).encode())
        os._exit(confine.ENDED_BEFORE_EXEC)

    # --- while it runs -------------------------------------------------------------------------------

    def _watch(self, started: float) -> None:
        """Wait for the end; look after time, memory, files and the worker meanwhile."""
        poll = select.poll()
        poll.register(self.line, select.POLLIN)
        poll.register(self.wake, select.POLLIN)
        poll.register(self.told, select.POLLIN)
        deadline = started + self.order["timeout"]
        next_look = started + 0.03
        next_count = started + 0.25
        while not self.ended:
            now = time.monotonic()
            if now >= deadline:
                self.ended = "timeout"
                break
            if now >= next_look:
                next_look = now + self._look()
            if self.on_disk and now >= next_count:
                reason = files.larger_than(self.folder, limits.ENTRIES, limits.SCRATCH * 1024 * 1024)
                if reason:
                    self.ended, self.error = "files", reason
                next_count = time.monotonic() + 0.2 + 4 * (time.monotonic() - now)
            pause = min(deadline, next_look, *([next_count] if self.on_disk else [])) - time.monotonic()
            for descriptor, _ in poll.poll(max(0, pause * 1000)):
                if descriptor == self.line.fileno():
                    self.ended = "stopped"  # the worker says nothing while a program runs: it has closed its end
                elif descriptor == self.wake:
                    os.read(self.wake, 4096)
                elif not self._hear():
                    poll.unregister(self.told)
            self._reap()

    def _look(self) -> float:
        """Check the memory; the seconds until the next time. Small and steady programs are looked at less often."""
        if not LINUX:
            return 3600.0
        init = self.pid if self.order["launcher"] == "namespaces" else None
        below = [pid for pid in tree.descendants(os.getpid()) if pid != init]
        used = tree.memory_of(below)
        calm = self.peak and used < self.order["memory_mb"] * 262_144
        self.peak = max(self.peak, used)
        if used > self.order["memory_mb"] * 1024 * 1024:
            self.ended = "memory"
        return 0.2 if calm else 0.05

    def _hear(self) -> bool:
        """What the other side of the wall says about its start and its end; False when it says no more."""
        try:
            text, descriptors, _, _ = socket.recv_fds(self.told, 65536, 1)
        except ConnectionError:
            return False
        if not text:
            return False
        news = json.loads(text)
        if descriptors:
            self.folder = descriptors[0]
        if "error" in news:
            self.ended, self.error = "not started", news["error"]
        if "status" in news and not self.ended:
            self.ended, self.status = "exit", news["status"]
        return True

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid != self.pid:
                continue
            while not self.ended and self._hear():
                pass  # its last words, where it is the program's init and not the program
            if not self.ended:
                self.ended, self.status = "exit", status


def _readable(text: str, place: str) -> int:
    """A descriptor from which the program reads this."""
    if not text:
        return os.open(os.devnull, os.O_RDONLY)
    path = f"{place}/batch-code-{os.urandom(8).hex()}.in"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(text.encode("utf-8", "surrogatepass"))
        return os.open(path, os.O_RDONLY)
    finally:
        os.unlink(path)


def _end_group(pid: int) -> bool:
    kill_group(pid)
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass  # collected before
    return True


def _restricted(order: dict, folder: str) -> None:
    abi = landlock.version()
    if not abi:
        raise OSError("this kernel has no Landlock")
    policy = seccomp.Policy(
        network=order["network"],
        unix_sockets=False,
        shared_pids=True,
        shared_files=True,
        may_signal=landlock.scopes_signals(abi),
        may_truncate=abi >= 3,
    )
    writable = [f"{folder}/job", f"{folder}/tmp"]
    confine.execute(
        order,
        order["argv"],
        writable[0],
        writable[1],
        confine.landlock_wall(order, visible.on_host(order), writable),
        confine.limits_wall(order, limits.tasks_of(os.getuid())),
        confine.seccomp_wall(policy),
    )


def _limited(order: dict, folder: str) -> None:
    def no_new_privileges() -> None:
        if LINUX:
            prctl(system.PR_SET_NO_NEW_PRIVS, 1)

    more = limits.tasks_of(os.getuid()) if LINUX else 0
    walls = (confine.limits_wall(order, more), no_new_privileges)
    confine.execute(order, order["argv"], f"{folder}/job", f"{folder}/tmp", *walls)


_BECOME = {"bubblewrap": bubblewrap.become, "restricted": _restricted, "limits": _limited}
