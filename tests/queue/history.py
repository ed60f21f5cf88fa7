"""The log of a batch, as tests read it."""

from __future__ import annotations

import orjson

from executor.domain.states import CLEARED, STATUS_OF_LETTER
from executor.models import BatchFrame, BatchTask


def status_history(task: BatchTask) -> list[str]:
    """Return the statuses of a task in the order of its batch's log."""
    words = {**STATUS_OF_LETTER, CLEARED: "cleared"}
    frames = BatchFrame.objects.filter(batch_id=task.batch_id).order_by("seq").values_list("changes", flat=True)
    return [str(words[change[1]]) for changes in frames for change in orjson.loads(changes) if change[0] == task.number]
