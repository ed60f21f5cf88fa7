"""Keeps a family of processes alive, and ends all of it."""

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

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """One thread and one loop: forking with other threads around is not safe, and children are tied to the thread
    that started them."""

    def __init__(self, log: Log):
        self.log = log
        self.children: list[Child] = []
        self.asked_to_stop = 0  # how often
        self._selector = selectors.DefaultSelector()
        self._waker, self._wakes = socket.socketpair()
        for end in (self._waker, self._wakes):
            end.setblocking(False)
        self._selector.register(self._wakes, selectors.EVENT_READ)
        self._stopping = False

    # --- starting -------------------------------------------------------------------------------

    def listen_to_signals(self) -> None:
        become_subreaper()
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # it only has to wake the loop
        for signum in ENDING:
            signal.signal(signum, self._asked)

    def _asked(self, *_) -> None:
        self.asked_to_stop += 1

    def start(self, child: Child) -> Child:
        self.children.append(child)
        self._start(child)
        return child

    def _start(self, child: Child) -> None:
        child.start()
        self._selector.register(child.process.stdout, selectors.EVENT_READ, child)

    # --- running --------------------------------------------------------------------------------

    def step(self, seconds: float) -> None:
        """Wait for something to happen, at most so long, and see to it."""
        now = time.monotonic()
        for child in self.children:
            if child.due is not None:
                seconds = min(seconds, max(0.0, child.due - now))
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                self._drain_wakes()
            else:
                self._read(key.data)
        self._collect()
        if not self._stopping:
            now = time.monotonic()
            for child in self.children:
                if child.due is not None and child.due <= now:
                    self._start(child)
        self.log.flush()

    def wait_for(self, condition: Callable[[], bool], seconds: float, every: float = 0.05) -> bool:
        """Go on until the condition holds; False when time is over or somebody asked to stop."""
        deadline = time.monotonic() + seconds
        while not self.asked_to_stop:
            if condition():
                return True
            if time.monotonic() >= deadline:
                return False
            self.step(every)
        return False

    def run(self) -> None:
        """Until somebody asks to stop."""
        while not self.asked_to_stop:
            self.step(1.0)

    def _drain_wakes(self) -> None:
        try:
            while self._wakes.recv(4096):
                pass
        except BlockingIOError:
            pass

    def _read(self, child: Child) -> None:
        if child.alive and not child.read():  # it closed its output and may live on
            self._selector.unregister(child.process.stdout)

    def _collect(self) -> None:
        """See who has ended. Those of ours are looked at before they are collected: until then nobody else can get
        their number, so their session can be ended by it."""
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None:
                return
            child = next((child for child in self.children if child.pid == found.si_pid), None)
            if child is None:
                os.waitpid(found.si_pid, 0)  # an orphan that came to us
                continue
            if child.process.stdout in self._selector.get_map():
                self._selector.unregister(child.process.stdout)
            child.ended(stopping=self._stopping)

    # --- stopping -------------------------------------------------------------------------------

    def stop(self, phases: list[tuple[list[Child], float]], within: float) -> None:
        """End the children phase by phase, each asked to end and, when its seconds are over, killed; everything
        within the seconds given. Whoever asks to stop a second time gets everything killed at once."""
        self._stopping = True
        asked = self.asked_to_stop
        end = time.monotonic() + within
        for number, (children, seconds) in enumerate(phases, 1):
            reserve = 0.5 * (len(phases) - number)  # for those that come later
            deadline = min(time.monotonic() + seconds, end - reserve)
            for child in children:
                child.signal(signal.SIGTERM)
            while any(child.alive for child in children):
                left = deadline - time.monotonic()
                if left <= 0 or self.asked_to_stop > asked:
                    break
                self.step(min(left, 0.5))
            for child in children:
                if child.alive:
                    self.log.line(child.name, "does not end; killed")
                    child.kill()
        self.kill_all()

    def kill_all(self) -> None:
        """Nothing of ours is alive after this, nor what our children left behind."""
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
        pass  # ended meanwhile
