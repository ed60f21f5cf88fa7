"""Paths of the files of attempts: the only module that knows their names.

    BATCH_LOGS/<batch>/<number>-<attempt>.<offset>.log       segments of an attempt's log
    BATCH_ARTIFACTS/<batch>/<number>-<attempt>.json          a result too large for its row
    BATCH_ARTIFACTS/<batch>/<number>-<attempt>/<name>        files that a task function has kept

`<batch>` is the batch's id as 32 hex digits.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path
from uuid import UUID

from django.conf import settings


def log_stem(batch_id: UUID, number: int, attempt: int) -> Path:
    """Return the path of an attempt's log segments without the offset and the suffix."""
    return Path(settings.BATCH_LOGS) / batch_id.hex / f"{number}-{attempt}"


def result_path(batch_id: UUID, number: int, attempt: int) -> Path:
    """Return the path of an attempt's large result."""
    return _artifacts(batch_id) / f"{number}-{attempt}.json"


def artifact_folder(batch_id: UUID, number: int, attempt: int) -> Path:
    """Return the folder of the files that an attempt keeps."""
    return _artifacts(batch_id) / f"{number}-{attempt}"


def _artifacts(batch_id: UUID) -> Path:
    return Path(settings.BATCH_ARTIFACTS) / batch_id.hex


def delete_files(batch_id: UUID, numbers: Collection[int]) -> None:
    """Delete the logs and artifacts of these tasks of a batch."""
    wanted = {str(number) for number in numbers}
    for root in (settings.BATCH_LOGS, settings.BATCH_ARTIFACTS):
        folder = Path(root) / batch_id.hex
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name.split("-")[0] not in wanted:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
