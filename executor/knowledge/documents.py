"""Adding, removing and listing documents."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import PurePath

from django.conf import settings
from django.db import IntegrityError
from django.db.models import Q

from executor.domain.errors import BadRequest, NotFound, TooLarge
from executor.models import AuditEntry, Chunk, Document

from .embedder import embedder
from .formats import Unreadable, format_of
from .isolated_reader import read_contained
from .splitting import Piece
from .state import changing

AT_ONCE = 512  # chunks that are embedded, or written, at once
MOST_METADATA = 64 * 1024


@dataclass(frozen=True, slots=True)
class Added:
    """A document that is in the knowledge base now. `status`: added, replaced, or unchanged: it was there already."""

    document: Document
    status: str


def add(
    name: str,
    data: bytes,
    *,
    owner: str,
    area: str = "main",
    metadata: dict | None = None,
    source: str = "",
    title: str = "",
    replace: bool = False,
) -> Added:
    """Take a file in. The same content is kept once an area; `replace` removes older content of the same source.

    Raises BadRequest, TooLarge, Unavailable.
    """
    if len(data) > settings.BATCH_MAX_DOCUMENT:
        raise TooLarge(f"{name}: a document may have {settings.BATCH_MAX_DOCUMENT} bytes.", fix="Divide it.")
    name, area = _clean_line(name, "name", 500), _clean_line(area, "area", 100)
    source = _clean_line(source or name, "source", 500)
    metadata = _checked(metadata or {})
    try:
        kind = format_of(name, data)
        reading = read_contained(kind, data)
    except Unreadable as error:
        raise BadRequest(f"{name}: {error}", fix="Save it in another format.") from None
    pieces, content_hash = reading.pieces, reading.content_hash
    if not pieces:
        raise BadRequest(f"{name}: there is no text in it.", fix="Pictures are not read.")
    older = Document.objects.filter(area=area, source=source).exclude(content_hash=content_hash)
    if known := Document.objects.filter(area=area, content_hash=content_hash).first():
        if replace and older.exists():
            _remove(list(older), owner)
            return Added(known, "replaced")
        return Added(known, "unchanged")
    vectors, model = _vectors(pieces)
    document = Document(
        source=source,
        title=(_clean_line(title, "title", 300) if title else reading.heading or PurePath(name).name)[:300],
        area=area,
        owner=owner,
        media_type=kind.media_type,
        size=len(data),
        characters=reading.characters,
        chunk_count=len(pieces),
        content_hash=content_hash,
        metadata=metadata,
    )
    replaced = list(older) if replace else []
    try:
        with changing(removal=bool(replaced)) as version:
            for old in replaced:
                old.delete()
            document.save(force_insert=True)
            for start in range(0, len(pieces), AT_ONCE):
                end = start + AT_ONCE
                Chunk.objects.bulk_create(_chunks(document, pieces, vectors, model, version, start, end))
            AuditEntry.objects.create(
                actor=owner,
                action="knowledge_add",
                detail={"document_id": str(document.pk), "source": source, "area": area, "replaced": len(replaced)},
            )
    except IntegrityError:  # somebody else added the same content in this moment
        if known := Document.objects.filter(area=area, content_hash=content_hash).first():
            return Added(known, "unchanged")
        raise
    return Added(document, "replaced" if replaced else "added")


def remove(document_id: str, *, actor: str) -> Document:
    """Take a document out, with all its chunks. Raises NotFound."""
    document = find(document_id)
    _remove([document], actor)
    return document


def find(document_id: str) -> Document:
    """The document of that id, or of the beginning of one. Raises NotFound, BadRequest."""
    wanted = str(document_id).replace("-", "").lower()
    if not 6 <= len(wanted) <= 32 or not set(wanted) <= set("0123456789abcdef"):
        raise NotFound(f"{document_id!r} is no document's id.", fix="List the documents to see their ids.")
    low, high = (wanted.ljust(32, end) for end in "0f")
    found = list(Document.objects.filter(pk__gte=low, pk__lte=high)[:2])
    if not found:
        raise NotFound(f"There is no document {document_id!r}.", fix="List the documents to see their ids.")
    if len(found) > 1:
        raise BadRequest(f"Several documents begin with {document_id!r}.", fix="Give more of the id.")
    return found[0]


def listed(area: str = "", q: str = "", limit: int = 50, cursor: str = "") -> tuple[list[Document], str | None]:
    """Documents, the newest first, and the cursor of the next page."""
    documents = Document.objects.order_by("-pk")  # ids sort by the time they were made
    if area:
        documents = documents.filter(area=area)
    if q:
        documents = documents.filter(Q(title__icontains=q) | Q(source__icontains=q))
    if cursor:
        documents = documents.filter(pk__lt=find(cursor).pk)
    page = list(documents[: limit + 1])
    return page[:limit], str(page[limit - 1].pk) if len(page) > limit else None


def areas() -> list[str]:
    """The areas that have documents."""
    return list(Document.objects.order_by("area").values_list("area", flat=True).distinct())


def _remove(documents: list[Document], actor: str) -> None:
    with changing(removal=True):
        for document in documents:
            detail = {"document_id": str(document.pk), "source": document.source, "area": document.area}
            Document.objects.filter(pk=document.pk).delete()
            AuditEntry.objects.create(actor=actor, action="knowledge_remove", detail=detail)


def _vectors(pieces: list[Piece]) -> tuple[list[bytes], str]:
    from .arrays import packed  # loads numpy: only where it is needed

    model = embedder()
    vectors: list[bytes] = []
    for start in range(0, len(pieces), AT_ONCE):
        some = [piece.told for piece in pieces[start : start + AT_ONCE]]
        vectors += [packed(vector) for vector in model.embed(some)]
    return vectors, model.name


def _chunks(document, pieces, vectors, model, version, start, end) -> list[Chunk]:
    return [
        Chunk(
            document=document,
            number=number,
            section=piece.section,
            text=piece.text,
            position=piece.position,
            digest=piece.digest,
            vector=vector,
            model=model,
            version=version,
        )
        for number, (piece, vector) in enumerate(zip(pieces[start:end], vectors[start:end], strict=True), start + 1)
    ]


def _clean_line(text: str, what: str, longest: int) -> str:
    text = " ".join(text.encode("utf-8", "replace").decode().replace("\x00", " ").split())
    if not text or len(text) > longest:
        raise BadRequest(f"The {what} needs 1 to {longest} characters.", fix="Choose another.")
    return text


def _checked(metadata: dict) -> dict:
    try:
        size = len(json.dumps(metadata, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise BadRequest(f"The metadata are no JSON ({error}).", fix="Give an object of texts and numbers.") from None
    if size > MOST_METADATA:
        raise TooLarge(f"The metadata have more than {MOST_METADATA} characters.", fix="Keep less in them.")
    return metadata
