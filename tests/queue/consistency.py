"""The consistency of a batch after every commit: counters and log equal the rows."""

from __future__ import annotations

import orjson

from executor.domain.states import CLEARED, STATUS_OF_LETTER
from executor.models import BatchFrame, BatchTask
from tests.support.batches import assert_true_to_itself


def assert_consistent_batch(batch_id) -> None:
    """Audit a batch: its counters and its frames equal its rows."""
    assert_true_to_itself(batch_id)


def status_history(task: BatchTask) -> list[str]:
    """Return the statuses of a task in the order of its batch's log."""
    words = {**STATUS_OF_LETTER, CLEARED: "cleared"}
    frames = BatchFrame.objects.filter(batch_id=task.batch_id).order_by("seq").values_list("changes", flat=True)
    return [str(words[change[1]]) for changes in frames for change in orjson.loads(changes) if change[0] == task.number]
