"""BatchQueue: one transaction over locked batches, with every verb that changes a task or a batch."""

from __future__ import annotations

from .adding import Adding
from .claiming import Claiming
from .commands import Commands
from .outcomes import Outcomes


class BatchQueue(Adding, Claiming, Outcomes, Commands):
    """The only writer of task and batch status.

    Its verbs move many tasks at once. Each move is a guarded statement, is counted, and is recorded in the batch's
    frame. Open one with `dispatch.open_batches`, which issues tickets and notifies watchers after the commit. Only the
    completer opens it itself: it reports the claimed tasks to its worker before it publishes.

        with open_batches([batch_id]) as queue:
            queue.start(batch_id, max_concurrent=5)
    """
