"""The loop that keeps child processes running, and stops them all."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import time
from collections.abc import Callable

import psutil

from executor.processes.linux import become_subreaper
from executor.supervisor.child import Child
from executor.supervisor.log import Log

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """A loop in a single thread.

    Forking beside other threads is unsafe, and children die with the thread that started them.
    """

    def __init__(self, log: Log):
        self.log = log
        self.children: list[Child] = []
        self.stop_requests = 0
        self._selector = selectors.DefaultSelector()
        self._wakeup_write, self._wakeup_read = socket.socketpair()
        for end in (self._wakeup_write, self._wakeup_read):
            end.setblocking(False)
        self._selector.register(self._wakeup_read, selectors.EVENT_READ)
        self._stopping = False

    # --- starting -------------------------------------------------------------------------------

    def install_signal_handlers(self) -> None:
        """Make SIGCHLD wake the loop, and the stop signals count as stop requests; adopt orphaned descendants."""
        become_subreaper()
        signal.set_wakeup_fd(self._wakeup_write.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # it only has to wake the loop
        for signum in STOP_SIGNALS:
            signal.signal(signum, self._request_stop)

    def _request_stop(self, *_) -> None:
        self.stop_requests += 1

    def start(self, child: Child) -> Child:
        self.children.append(child)
        self._start(child)
        return child

    def _start(self, child: Child) -> None:
        child.start()
        self._selector.register(child.output, selectors.EVENT_READ, child)

    # --- running --------------------------------------------------------------------------------

    def step(self, timeout: float) -> None:
        """Wait for an event, at most `timeout` seconds, and handle it."""
        now = time.monotonic()
        for child in self.children:
            if child.restart_at is not None:
                timeout = min(timeout, max(0.0, child.restart_at - now))
        for key, _ in self._selector.select(timeout):
            if key.data is None:
                self._drain_wakeups()
            else:
                self._read(key.data)
        self._reap()
        if not self._stopping:
            now = time.monotonic()
            for child in self.children:
                if child.restart_at is not None and child.restart_at <= now:
                    self._start(child)
        self.log.flush()

    def wait_for(self, condition: Callable[[], bool], timeout: float, poll_interval: float = 0.05) -> bool:
        """Run until the condition holds; return False after the timeout or a stop request."""
        deadline = time.monotonic() + timeout
        while not self.stop_requests:
            if condition():
                return True
            if time.monotonic() >= deadline:
                return False
            self.step(poll_interval)
        return False

    def run(self) -> None:
        """Run until a stop request."""
        while not self.stop_requests:
            self.step(1.0)

    def _drain_wakeups(self) -> None:
        try:
            while self._wakeup_read.recv(4096):
                pass
        except BlockingIOError:
            pass

    def _read(self, child: Child) -> None:
        if child.alive and not child.read():  # the process closed its output, but may live on
            self._selector.unregister(child.output)

    def _reap(self) -> None:
        """Collect all ended processes.

        Children are found without collecting them (WNOWAIT): until then their pid cannot be reused, so their session
        can still be killed by it.
        """
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None:
                return
            child = next((child for child in self.children if child.pid == found.si_pid), None)
            if child is None:
                os.waitpid(found.si_pid, 0)  # an adopted orphan
                continue
            if child.output in self._selector.get_map():
                self._selector.unregister(child.output)
            child.reap(stopping=self._stopping)

    # --- stopping -------------------------------------------------------------------------------

    def stop(self, phases: list[tuple[list[Child], float]], timeout: float) -> None:
        """Stop the children phase by phase: SIGTERM, then SIGKILL after the phase's seconds.

        All of it takes at most `timeout` seconds. A second stop request kills everything at once.
        """
        self._stopping = True
        requests = self.stop_requests
        end = time.monotonic() + timeout
        for number, (children, seconds) in enumerate(phases, 1):
            reserve = 0.5 * (len(phases) - number)  # for the later phases
            deadline = min(time.monotonic() + seconds, end - reserve)
            for child in children:
                child.signal(signal.SIGTERM)
            while any(child.alive for child in children):
                left = deadline - time.monotonic()
                if left <= 0 or self.stop_requests > requests:
                    break
                self.step(min(left, 0.5))
            for child in children:
                if child.alive:
                    self.log.line(child.name, "did not end in time; killed")
                    child.kill()
        self.kill_all()

    def kill_all(self) -> None:
        """Kill all children and all their descendants."""
        self._stopping = True
        for child in self.children:
            child.kill()
        deadline = time.monotonic() + 2
        while (left := psutil.Process().children(recursive=True)) and time.monotonic() < deadline:
            for process in left:
                if process.pid not in [child.pid for child in self.children]:
                    _kill(process)
            self.step(0.02)
        self.log.flush(0.5)


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.Error:
        pass  # it has ended
