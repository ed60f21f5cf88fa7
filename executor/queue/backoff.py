"""The delay before the next attempt of a task."""

from __future__ import annotations

import math
import random

BACKOFF_CAP = 300.0  # seconds; no backoff is longer
MAX_RETRY_AFTER = 366 * 86_400.0  # seconds; no pause that an error requests is longer


def retry_pause(requested: float | None, retry_delay: float, retry: int) -> float:
    """Return the seconds before the n-th retry: the error's `retry_after`, or the backoff.

    The backoff is exponential with full jitter, so that tasks which failed together come back apart.
    """
    if requested is not None and not math.isnan(requested):  # it comes from a task function
        return min(max(float(requested), 0.0), MAX_RETRY_AFTER)
    if retry_delay <= 0:
        return 0.0
    return random.uniform(0.0, min(BACKOFF_CAP, retry_delay * 2 ** min(retry - 1, 20)))
