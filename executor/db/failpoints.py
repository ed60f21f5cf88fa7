"""Failpoints: places where tests let a process die, stop or fail.

They do nothing unless BATCH_DEBUG_FAILPOINTS is set, to `point=action` or `point=action@n`, comma separated. The action
happens once, when a process passes the point for the n-th time (default: the first):

    kill    the process gets SIGKILL
    pause   the process gets SIGSTOP; SIGCONT resumes it
    raise   the point raises OperationalError, like a database that shuts down
"""

from __future__ import annotations

import signal
import threading

from django.conf import settings
from django.db import OperationalError, connection, transaction

from .write_lock import write_lock

POINTS = {
    "ticket-popped": "a worker has taken tickets from Redis and not yet claimed their tasks",
    "before-claim": "the worker has the batch's lock and claims next",
    "claim-uncommitted": "the claim is written and not committed",
    "after-claim": "the claim is committed and nothing has started",
    "child-started": "a child process was started for a plain function",
    "mid-work": "in the child, right before the function is called",
    "before-finish": "the worker has an outcome and has not written it",
    "finish-uncommitted": "the outcome is written and not committed",
    "after-finish": "the outcome is committed; no ticket was pushed, no watcher notified",
    "before-push": "tasks are marked as dispatched, their tickets are not pushed",
    "mid-repair": "the rescue has marked a worker as dead and not yet queued its tasks",
    "add-uncommitted": "new tasks are written and not committed",
}
ACTIONS = ("kill", "pause", "raise")

_armed: dict[str, tuple[str, int]] = {}  # point → action, passages left


def arm(text: str) -> None:
    """Set the actions, replacing earlier ones.

    Raises ValueError for a point or an action that does not exist.
    """
    armed = {}
    for word in filter(None, text.split(",")):
        point, _, what = word.strip().partition("=")
        action, _, passage = what.partition("@")
        if point not in POINTS or action not in ACTIONS:
            raise ValueError(f"unknown failpoint {word!r}; points: {', '.join(POINTS)}; actions: {', '.join(ACTIONS)}")
        armed[point] = (action, int(passage or 1))
    _armed.clear()
    _armed.update(armed)


def failpoint(point: str, when: object = True) -> None:
    """Pass a point; with a false `when` the passage does not count."""
    if not _armed or not when or point not in _armed:
        return
    action, left = _armed[point]
    if left > 1:
        _armed[point] = (action, left - 1)
        return
    del _armed[point]
    if action == "raise":
        raise OperationalError(f"failpoint {point}")
    if action == "pause" and not connection.in_atomic_block:
        quiet = threading.Thread(target=_wait_for_writers)  # an event loop may not use the database itself
        quiet.start()
        quiet.join()
    # To this very thread: a signal to the process might take effect a moment after this line.
    signal.pthread_kill(threading.get_ident(), signal.SIGKILL if action == "kill" else signal.SIGSTOP)


def _wait_for_writers() -> None:
    """Wait until no other thread of this process holds SQLite's write lock: it would keep it while stopped."""
    with write_lock(), transaction.atomic():
        pass
    connection.close()


arm(settings.BATCH_DEBUG_FAILPOINTS)
