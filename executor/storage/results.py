"""Results too large for their rows: the file beside the database, and the stub in the row."""

from __future__ import annotations

from uuid import UUID

import orjson
from django.conf import settings

from .paths import result_path

PREVIEW = 2_000  # characters of head and tail that a stub keeps


def preview(text: str) -> dict[str, str]:
    """Return the head and the tail of a long text."""
    return {"head": text[:PREVIEW], "tail": text[-PREVIEW:]}


def store_result(batch_id: UUID, number: int, attempt: int, text: str) -> str:
    """Return a result's JSON text as its row keeps it: itself, or a stub that names the artifact file.

    Raises OSError when the file cannot be written.
    """
    data = text.encode()
    if len(data) <= settings.BATCH_INLINE_RESULT:
        return text
    path = result_path(batch_id, number, attempt)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_bytes(data)
    partial.replace(path)  # a reader finds the whole file or none
    stub = {"artifact": path.name, "size": len(data), **preview(text)}
    return orjson.dumps({"$artifact": stub}).decode()
