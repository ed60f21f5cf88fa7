"""The knowledge base: documents in, passages out."""

from __future__ import annotations

import orjson
from django.db.models import Sum
from ninja import Field, Query, Schema
from pydantic import ConfigDict

from executor.api.access import ApiRequest
from executor.domain.errors import BadRequest
from executor.knowledge import documents
from executor.knowledge.expressions import BadExpression, Filter
from executor.models import Chunk, Document

from .router import StrictRouter

router = StrictRouter(tags=["knowledge"])
_FORM = "multipart/form-data"
_FIELDS = {
    "area": {"type": "string", "default": "main"},
    "metadata": {"type": "object", "description": "Facts for filters."},
    "replace": {"type": "boolean", "default": False, "description": "Remove older content of the same source."},
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            _FORM: {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "array", "items": {"type": "string", "format": "binary"}},
                        **_FIELDS,
                    },
                }
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["name", "text"],
                    "properties": {
                        "name": {"type": "string", "description": "A file name; its suffix determines the format."},
                        "text": {"type": "string"},
                        "title": {"type": "string"},
                        "source": {"type": "string", "description": "Its origin; default: the name."},
                        **_FIELDS,
                    },
                },
                "example": {"name": "opening-hours.md", "text": "# Opening hours\n\nWe open at nine.", "area": "main"},
            },
        },
    }
}


class TextDocument(Schema):
    """A document given as text."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=500)
    text: str = Field(min_length=1)
    title: str = ""
    source: str = ""
    area: str = "main"
    metadata: dict = {}
    replace: bool = False


@router.post("/documents", summary="Add documents: files of a form, or one text as JSON.", openapi_extra=_BODY)
def add(request: ApiRequest):
    """Add documents and return each with its `status`: added, replaced, or unchanged for the same content.

    Of several files the invalid ones are listed in `errors`, and the others are added.
    """
    request.auth.require_for_knowledge("add")
    if request.content_type == "application/json":
        given = _text_document(request)
        how = given.model_dump(include={"title", "source", "area", "metadata", "replace"})
        added = documents.add(given.name, given.text.encode("utf-8", "replace"), owner=request.auth.key, **how)
        return {"documents": [{**documents.as_dict(added.document), "status": added.status}], "errors": []}
    if request.content_type != _FORM:
        fix = "Send a form with files, or one text as JSON."
        wrong = BadRequest("The content type must be multipart/form-data or application/json.", fix=fix)
        wrong.status = 415
        raise wrong
    files = request.FILES.getlist("file")
    if not files:
        raise BadRequest("There is no file in the form.", fix="Send one or more files in the field `file`.")
    replace = request.POST.get("replace", "").lower() in ("1", "true", "on", "yes")
    how = {"area": request.POST.get("area") or "main", "metadata": _metadata(request.POST.get("metadata", ""))}
    done: list[dict] = []
    errors: list[dict] = []
    for file in files:
        try:
            added = documents.add(file.name or "", file.read(), owner=request.auth.key, replace=replace, **how)
            done.append({**documents.as_dict(added.document), "status": added.status})
        except BadRequest as error:
            errors.append({"field": file.name, "reason": error.message})
    if not done:
        fix = "Nothing was added; correct the files and send them again."
        raise BadRequest("; ".join(error["reason"] for error in errors), fix=fix, errors=errors)
    return {"documents": done, "errors": errors}


@router.get("/documents", summary="Documents, the newest first.")
def listed(
    request: ApiRequest,
    area: str = "",
    q: str = "",
    limit: int = Query(50, ge=1, le=500),
    cursor: str = "",
):
    request.auth.require_for_knowledge("read")
    page, next_cursor = documents.list_documents(area, q, limit, cursor)
    return {"documents": [documents.as_dict(document) for document in page], "next_cursor": next_cursor}


@router.get("/documents/{document_id}", summary="One document with its chunks.")
def document(
    request: ApiRequest,
    document_id: str,
    after: int = Query(0, ge=0, le=2**31 - 1, description="The number of the last chunk you have."),
    limit: int = Query(100, ge=1, le=500),
):
    request.auth.require_for_knowledge("read")
    found = documents.find(document_id)
    chunks = Chunk.objects.filter(document=found, number__gt=after).order_by("number")[:limit]
    pieces = [
        {"number": chunk.number, "section": chunk.section, "position": chunk.position, "text": chunk.text}
        for chunk in chunks
    ]
    return {**documents.as_dict(found), "pieces": pieces}


@router.delete("/documents/{document_id}", summary="Remove a document.")
def remove(request: ApiRequest, document_id: str):
    request.auth.require_for_knowledge("remove")
    return {"removed": documents.as_dict(documents.remove(document_id, actor=request.auth.key))}


@router.get("/search", summary="Passages for a question, the best first; see the function knowledge_search.")
def search(
    request: ApiRequest,
    query: str = Query("", max_length=10_000),
    question: str = Query("", max_length=10_000, description="Another name for query."),
    limit: int = Query(10, ge=1, le=100),
    threshold: float = Query(0.0, ge=0, le=1),
    area: str = "",
    filter: str = "",
):
    from executor.knowledge.search import search as find  # loads numpy, so only here

    request.auth.require_for_knowledge("read")
    text = (query or question).replace("\x00", " ").strip()
    if not text:
        errors = [{"field": "query", "reason": "is missing"}]
        raise BadRequest("`query` is missing.", fix="Give the question: `?query=…`.", errors=errors)
    try:
        wanted = Filter(filter) if filter.strip() else None
    except BadExpression as error:
        errors = [{"field": "filter", "reason": str(error)}]
        fix = "A filter compares metadata, as in `year > 2020 and topic == 'ships'`."
        raise BadRequest(f"{error}.", fix=fix, errors=errors) from None
    found = find(text, limit=limit, threshold=threshold, area=area, filter=wanted)
    results = [hit.as_dict() for hit in found.hits]
    return {"query": text, "count": len(results), "results": results, "note": found.note or None}


@router.get("", summary="The size of the knowledge base.")
def summary(request: ApiRequest):
    request.auth.require_for_knowledge("read")
    counted = Document.objects.aggregate(chunks=Sum("chunk_count"), characters=Sum("characters"))
    return {
        "documents": Document.objects.count(),
        "chunks": counted["chunks"] or 0,
        "characters": counted["characters"] or 0,
        "areas": documents.areas(),
    }


def _text_document(request: ApiRequest) -> TextDocument:
    try:
        given = orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        fix = "Send an object with `name` and `text`."
        raise BadRequest(f"The body is not JSON: {error}.", fix=fix) from None
    try:
        return TextDocument.model_validate(given)
    except ValueError as error:
        wrong: list[dict] = getattr(error, "errors", lambda **_: [])(include_url=False)
        errors = [{"field": ".".join(map(str, each["loc"])), "reason": each["msg"]} for each in wrong]
        fix = "Correct what `errors` names; nothing was added."
        raise BadRequest("The document is wrong.", fix=fix, errors=errors) from None


_OBJECT = 'Write them as in `{"year": 2020}`.'


def _metadata(text: str) -> dict:
    if not text.strip():
        return {}
    try:
        given = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The metadata are not JSON: {error}.", fix=_OBJECT) from None
    if not isinstance(given, dict):
        raise BadRequest("The metadata must be a JSON object.", fix=_OBJECT)
    return given
