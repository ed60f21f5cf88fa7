"""Failpoints: places where a process can be told to die, to fall asleep or to fail, for tests of what follows.

They are dead unless BATCH_DEBUG_FAILPOINTS says otherwise, as `point=action` or `point=action@n` with commas between
them: at the n-th passage of that point by a process (the first, when no number is given), once,

    kill    the process gets SIGKILL
    pause   it gets SIGSTOP, and goes on with SIGCONT
    raise   the point raises OperationalError, as a database does that is going away
"""

from __future__ import annotations

import signal
import threading

from django.conf import settings
from django.db import OperationalError, connection, transaction

from .dialect import turn

POINTS = {
    "ticket-popped": "a worker has taken tickets from Redis and told nobody",
    "before-claim": "the worker has the batch's lock and claims next",
    "claim-uncommitted": "the claim is written and not committed",
    "after-claim": "the claim is committed and nothing has started",
    "child-started": "a child process was started for a plain function",
    "mid-work": "in the child, right before the function is called",
    "before-finish": "the worker has an outcome and has not written it",
    "finish-uncommitted": "the outcome is written and not committed",
    "after-finish": "the outcome is committed; nobody was told, no ticket was pushed",
    "before-push": "tasks are marked as dispatched, their tickets are not pushed",
    "mid-repair": "the rescue has marked a worker as dead and not yet given its tasks away",
    "add-uncommitted": "new tasks are written and not committed",
}
ACTIONS = ("kill", "pause", "raise")

_armed: dict[str, tuple[str, int]] = {}  # point → action, passages until then


def arm(text: str) -> None:
    """Say what is to happen where, instead of what was said before.

    Raises ValueError for a point or an action that does not exist.
    """
    armed = {}
    for word in filter(None, text.split(",")):
        point, _, what = word.strip().partition("=")
        action, _, passage = what.partition("@")
        if point not in POINTS or action not in ACTIONS:
            raise ValueError(f"no failpoint is {word!r}; points: {', '.join(POINTS)}; actions: {', '.join(ACTIONS)}")
        armed[point] = (action, int(passage or 1))
    _armed.clear()
    _armed.update(armed)


def failpoint(point: str, when: object = True) -> None:
    """Here something may be made to happen; a passage counts only `when` there is something to do."""
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
        quiet = threading.Thread(target=_until_nobody_writes)  # an event loop may not ask the database itself
        quiet.start()
        quiet.join()
    # To this very thread: one sent to the process might stop it a moment after this line.
    signal.pthread_kill(threading.get_ident(), signal.SIGKILL if action == "kill" else signal.SIGSTOP)


def _until_nobody_writes() -> None:
    """No other thread of ours is just writing, and takes SQLite's only write lock into our sleep."""
    with turn(), transaction.atomic():
        pass
    connection.close()


arm(settings.BATCH_DEBUG_FAILPOINTS)
