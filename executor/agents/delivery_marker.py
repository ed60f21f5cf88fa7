"""A file that records a sent message whose outcome is unknown."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path


class DeliveryMarker:
    """The marker file of one attempt. Its path ends with <task number>-<attempt>/<name>."""

    def __init__(self, path: Path):
        self._path = path

    def of_earlier_attempts(self) -> list[Path]:
        """Return the markers of attempts that ended before the outcome of their message was known."""
        number = self._path.parent.name.rpartition("-")[0]
        found = self._path.parent.parent.glob(f"{number}-*/{self._path.name}")
        return [path for path in found if path != self._path]

    def set(self, context_id: str) -> None:
        """Create the marker, with the id of the chat."""
        self._path.write_text(json.dumps({"context_id": context_id}))

    def clear(self) -> None:
        """Remove the marker and its folder."""
        remove(self._path)

    def remove_empty_folder(self) -> None:
        """Remove the attempt's folder unless there is a file in it."""
        _remove_if_empty(self._path.parent)


def remove(path: Path) -> None:
    """Remove a marker and its folder, unless that holds other files."""
    path.unlink(missing_ok=True)
    _remove_if_empty(path.parent)


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
