"""BatchQueue: one transaction over locked batches, with every verb that changes a task or a batch."""

from __future__ import annotations

from .adding import Adding
from .claiming import Claiming
from .commands import Commands
from .outcomes import Outcomes


class BatchQueue(Adding, Claiming, Outcomes, Commands):
    """The only writer of task and batch status.

    Its verbs move many tasks at once. Each move is a guarded statement, is counted, and is recorded in the batch's
    frame. Tickets that have to be issued or withdrawn in Redis after the commit are left in `issued` and `withdrawn`;
    `dispatch.open_batches` does that, so use it instead wherever no worker is involved.

        with BatchQueue([batch_id]) as queue:
            queue.start(batch_id, max_concurrent=5)
    """
