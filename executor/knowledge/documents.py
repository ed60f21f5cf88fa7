"""Documents of the knowledge base: add, remove, find, list."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

from django.conf import settings
from django.db import IntegrityError
from django.db.models import Q, QuerySet

from executor.domain.errors import BadRequest, NotFound, TooLarge
from executor.models import AuditEntry, Chunk, Document

from .embedder import embedder
from .formats import Format, Unreadable, format_of
from .index_state import write_transaction
from .isolated_reader import parse_isolated
from .parsing import ParsedFile
from .splitting import Piece

BATCH_SIZE = 512  # chunks that are embedded, or written, at once
MAX_METADATA = 64 * 1024  # characters as JSON


@dataclass(frozen=True, slots=True)
class Added:
    """A document that is in the knowledge base now. `status`: added, replaced, or unchanged if it was there before."""

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
    """Add a file. An area keeps the same content once; `replace` removes older content of the same source.

    Raises BadRequest, TooLarge, Unavailable.
    """
    if len(data) > settings.BATCH_MAX_DOCUMENT:
        raise TooLarge(f"{name}: a document may have {settings.BATCH_MAX_DOCUMENT} bytes.", fix="Divide it.")
    name, area = _clean_line(name, "name", 500), _clean_line(area, "area", 100)
    source = _clean_line(source or name, "source", 500)
    metadata = _checked_metadata(metadata or {})
    kind, parsed = _parse(name, data)
    older = Document.objects.filter(area=area, source=source).exclude(content_hash=parsed.content_hash)
    if known := _find_content(area, parsed.content_hash):
        return _keep(known, older if replace else Document.objects.none(), owner)
    heading = _clean_line(title, "title", 300) if title else parsed.heading or PurePath(name).name
    document = Document(
        source=source,
        title=heading[:300],
        area=area,
        owner=owner,
        media_type=kind.media_type,
        size=len(data),
        characters=parsed.characters,
        chunk_count=len(parsed.pieces),
        content_hash=parsed.content_hash,
        metadata=metadata,
    )
    return _store(document, parsed.pieces, list(older) if replace else [])


def _parse(name: str, data: bytes) -> tuple[Format, ParsedFile]:
    """Return the format and the content of a file. Raises BadRequest."""
    try:
        kind = format_of(name, data)
        parsed = parse_isolated(kind, data)
    except Unreadable as error:
        raise BadRequest(f"{name}: {error}", fix="Save it in another format.") from None
    if not parsed.pieces:
        raise BadRequest(f"{name}: there is no text in it.", fix="Pictures are not read.")
    return kind, parsed


def _find_content(area: str, content_hash: str) -> Document | None:
    return Document.objects.filter(area=area, content_hash=content_hash).first()


def _keep(known: Document, older: QuerySet[Document], owner: str) -> Added:
    """Keep a document that has the same content, and remove older documents of its source."""
    if older.exists():
        _remove(list(older), owner)
        return Added(known, "replaced")
    return Added(known, "unchanged")


def _store(document: Document, pieces: list[Piece], replaced: list[Document]) -> Added:
    """Write a document with its chunks, and delete the replaced ones, in one transaction."""
    vectors, model = _embed(pieces)
    try:
        with write_transaction(removal=bool(replaced)) as version:
            for old in replaced:
                old.delete()
            document.save(force_insert=True)
            for chunks in _chunk_batches(document, pieces, vectors, model, version):
                Chunk.objects.bulk_create(chunks)
            detail = {
                "document_id": str(document.pk),
                "source": document.source,
                "area": document.area,
                "replaced": len(replaced),
            }
            AuditEntry.objects.create(actor=document.owner, action="knowledge_add", detail=detail)
    except IntegrityError:  # the same content was added concurrently
        if known := _find_content(document.area, document.content_hash):
            return Added(known, "unchanged")
        raise
    return Added(document, "replaced" if replaced else "added")


def remove(document_id: str, *, actor: str) -> Document:
    """Remove a document with its chunks. Raises NotFound, BadRequest."""
    document = find(document_id)
    _remove([document], actor)
    return document


def find(document_id: str) -> Document:
    """Return the document with this id, or the only one whose id begins so. Raises NotFound, BadRequest."""
    prefix = str(document_id).replace("-", "").lower()
    if not 6 <= len(prefix) <= 32 or not set(prefix) <= set("0123456789abcdef"):
        raise NotFound(f"{document_id!r} is not the id of a document.", fix="List the documents to see their ids.")
    low, high = (prefix.ljust(32, end) for end in "0f")
    found = list(Document.objects.filter(pk__gte=low, pk__lte=high)[:2])
    if not found:
        raise NotFound(f"There is no document {document_id!r}.", fix="List the documents to see their ids.")
    if len(found) > 1:
        raise BadRequest(f"Several documents begin with {document_id!r}.", fix="Give more of the id.")
    return found[0]


def list_documents(area: str = "", q: str = "", limit: int = 50, cursor: str = "") -> tuple[list[Document], str | None]:
    """Return a page of documents, the newest first, and the cursor of the next page; None at the end."""
    documents = Document.objects.order_by("-pk")  # ids sort by their creation time
    if area:
        documents = documents.filter(area=area)
    if q:
        documents = documents.filter(Q(title__icontains=q) | Q(source__icontains=q))
    if cursor:
        documents = documents.filter(pk__lt=find(cursor).pk)
    page = list(documents[: limit + 1])
    return page[:limit], str(page[limit - 1].pk) if len(page) > limit else None


def as_dict(document: Document) -> dict:
    """Return a document for API, page and command line."""
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


def areas() -> list[str]:
    """Return the areas that have documents."""
    return list(Document.objects.order_by("area").values_list("area", flat=True).distinct())


def _remove(documents: list[Document], actor: str) -> None:
    with write_transaction(removal=True):
        for document in documents:
            detail = {"document_id": str(document.pk), "source": document.source, "area": document.area}
            Document.objects.filter(pk=document.pk).delete()
            AuditEntry.objects.create(actor=actor, action="knowledge_remove", detail=detail)


def _embed(pieces: list[Piece]) -> tuple[list[bytes], str]:
    """Return the packed vectors of the pieces, and the name of their model. Raises Unavailable."""
    from .arrays import pack_vector  # deferred: loads numpy

    model = embedder()
    vectors: list[bytes] = []
    for start in range(0, len(pieces), BATCH_SIZE):
        texts = [piece.embedded_text for piece in pieces[start : start + BATCH_SIZE]]
        vectors += [pack_vector(vector) for vector in model.embed(texts)]
    return vectors, model.name


def _chunk_batches(
    document: Document, pieces: list[Piece], vectors: list[bytes], model: str, version: int
) -> Iterator[list[Chunk]]:
    for start in range(0, len(pieces), BATCH_SIZE):
        end = start + BATCH_SIZE
        yield [
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


def _clean_line(text: str, what: str, max_length: int) -> str:
    text = " ".join(text.encode("utf-8", "replace").decode().replace("\x00", " ").split())
    if not text or len(text) > max_length:
        raise BadRequest(f"The {what} needs 1 to {max_length} characters.", fix="Choose another.")
    return text


def _checked_metadata(metadata: dict) -> dict:
    try:
        size = len(json.dumps(metadata, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise BadRequest(f"The metadata is not JSON ({error}).", fix="Give an object of texts and numbers.") from None
    if size > MAX_METADATA:
        raise TooLarge(f"The metadata has more than {MAX_METADATA} characters.", fix="Store less in it.")
    return metadata
