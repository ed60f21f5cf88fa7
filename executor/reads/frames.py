"""The numbered frames of a batch's log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from executor.domain.errors import NotFound
from executor.models import BatchFrame, BatchStats

MAX_BYTES = 16 * 1024 * 1024  # of changes in one answer


@dataclass(frozen=True, slots=True)
class Frames:
    """Consecutive frames of a batch: number, time, `changes` and `counts` as JSON text.

    With `gone`, frames before them have been deleted: start again from a snapshot.
    """

    frames: list[tuple[int, datetime, str, str]]
    last_seq: int
    gone: bool = False


def frames_after(batch_id, after: int, max_bytes: int = MAX_BYTES, last: int | None = None) -> Frames:
    """Return the frames of a batch after number `after`, up to a size, and up to number `last` where one is given.

    Raises NotFound.
    """
    if last is None:
        last = BatchStats.objects.filter(batch_id=batch_id).values_list("seq", flat=True).first()
    if last is None:
        raise NotFound(f"There is no batch {batch_id}.", fix="`GET /api/batches` lists the existing ones.")
    if after >= last:
        return Frames([], last, gone=after > last)
    found: list[tuple] = []
    size = 0
    rows = BatchFrame.objects.filter(batch_id=batch_id, seq__gt=after, seq__lte=last).order_by("seq")
    for frame in rows.values_list("seq", "at", "changes", "counts").iterator(500):
        if not found and frame[0] != after + 1:
            return Frames([], last, gone=True)
        found.append(frame)
        size += len(frame[2])
        if size > max_bytes:
            break
    return Frames(found, last)
