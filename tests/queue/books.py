"""What must be true of every batch after every commit: its counters and its log equal its rows."""

from __future__ import annotations

import orjson

from executor.domain.states import CLEARED, STATUS_OF_LETTER
from executor.models import BatchFrame, BatchTask
from tests.support.batches import assert_true_to_itself


def assert_books_balance(batch_id) -> None:
    """Audit a batch: its counters and its frames equal its rows."""
    assert_true_to_itself(batch_id)


def story_of(task: BatchTask) -> list[str]:
    """The statuses of a task one after the other, as its batch's log tells them."""
    words = {**STATUS_OF_LETTER, CLEARED: "cleared"}
    frames = BatchFrame.objects.filter(batch_id=task.batch_id).order_by("seq").values_list("changes", flat=True)
    return [str(words[change[1]]) for changes in frames for change in orjson.loads(changes) if change[0] == task.number]
