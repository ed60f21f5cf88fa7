"""One shape of a document for every adapter."""

from __future__ import annotations

from executor.models import Document


def shown(document: Document) -> dict:
    return {
        "document_id": str(document.pk),
        "title": document.title,
        "source": document.source,
        "area": document.area,
        "owner": document.owner,
        "media_type": document.media_type,
        "size": document.size,
        "characters": document.characters,
        "chunks": document.chunk_count,
        "metadata": document.metadata,
        "created_at": document.created_at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
    }
