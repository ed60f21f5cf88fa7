"""The pages of the knowledge base: search, documents and upload, and one document with its passages."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse
from django.shortcuts import redirect

from executor.domain.errors import ExecutorError
from executor.knowledge import documents
from executor.knowledge.expressions import BadExpression, Filter
from executor.knowledge.formats import SUFFIXES
from executor.models import Chunk
from executor.views.page import PageRequest, page, render_page, sentence
from executor.views.schema_form import JSONField

DOCUMENTS = 50
PASSAGES = 100
RESULTS = 20
MAX_QUERY = 10_000  # characters


class ManyFilesInput(forms.ClearableFileInput):
    """A file input for several files."""

    allow_multiple_selected = True


class ManyFilesField(forms.FileField):
    """A field for several files."""

    widget = ManyFilesInput(attrs={"accept": ",".join(sorted(SUFFIXES))})

    def clean(self, data: list[UploadedFile] | None, initial: Any = None) -> list[UploadedFile]:
        """Check each file."""
        return [super(ManyFilesField, self).clean(each, initial) for each in data or [None]]  # type: ignore[list-item]  # refused if required


class UploadForm(forms.Form):
    """Documents to add."""

    files = ManyFilesField(  # type: ignore[assignment]  # a field, as long as the class is a definition
        label="Files", help_text="Markdown, text, HTML, PDF, DOCX, CSV or JSON."
    )
    area = forms.CharField(max_length=100, initial="main", help_text="Searches can be limited to an area.")
    metadata = JSONField(
        required=False,
        label="Metadata",
        help_text='Facts for filters, as JSON: {"year": 2026}',
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
    )
    replace = forms.BooleanField(required=False, label="Replace documents of the same name")

    def clean_metadata(self) -> dict:
        """Check that the metadata is a JSON object."""
        metadata = self.cleaned_data["metadata"] or {}
        if not isinstance(metadata, dict):
            raise forms.ValidationError("The metadata must be a JSON object.")
        return metadata


@page
def knowledge(request: PageRequest) -> HttpResponse:
    """Search the documents, list them, and add documents."""
    form = UploadForm()
    if request.method == "POST":
        request.caller.require_for_knowledge("add")
        form = UploadForm(request.POST, request.FILES)
        if form.is_valid():
            _upload(request, form.cleaned_data)
            return redirect("knowledge")
    query, area = request.GET.get("query", "").strip(), request.GET.get("area", "")
    condition, title = request.GET.get("filter", ""), request.GET.get("q", "")
    found, problem = _search(query, area, condition) if query else (None, "")
    listed, next_cursor = documents.list_documents(area, title, DOCUMENTS, request.GET.get("cursor", ""))
    return render_page(
        request,
        "executor/knowledge.html",
        status=400 if form.errors or problem else 200,
        form=form,
        query=query,
        area=area,
        filter=condition,
        q=title,
        found=found,
        problem=problem,
        areas=documents.areas(),
        documents=[documents.as_dict(document) for document in listed],
        next_cursor=next_cursor,
    )


@page
def document(request: PageRequest, document_id: UUID) -> HttpResponse:
    """Show a document with a part of its passages; remove it on POST."""
    found = documents.find(document_id.hex)
    if request.method == "POST":
        request.caller.require_for_knowledge("remove")
        documents.remove(document_id.hex, actor=request.caller.key)
        messages.success(request, f"{found.title} was removed.")
        return redirect("knowledge")
    after = request.GET.get("after", "")
    first = int(after) if after.isdecimal() and len(after) < 9 else 0
    chunks = list(Chunk.objects.filter(document=found, number__gt=first).order_by("number")[:PASSAGES])
    last = chunks[-1].number if chunks else 0
    more = last if last < found.chunk_count else None
    return render_page(
        request, "executor/knowledge_document.html", document=documents.as_dict(found), chunks=chunks, more=more
    )


def _upload(request: PageRequest, form: dict[str, Any]) -> None:
    """Add the files one by one, with a message for each that fails."""
    counts = {"added": 0, "replaced": 0, "unchanged": 0}
    options = {"area": form["area"], "metadata": form["metadata"], "replace": form["replace"]}
    for file in form["files"]:
        try:
            counts[documents.add(file.name, file.read(), owner=request.caller.key, **options).status] += 1
        except ExecutorError as error:
            messages.error(request, sentence(error))
    parts = [f"{count} {status}" for status, count in counts.items() if count]
    if parts:
        unchanged = " Unchanged files have the content of an existing document." if counts["unchanged"] else ""
        messages.success(request, f"Documents: {', '.join(parts)}.{unchanged}")


def _search(query: str, area: str, condition: str) -> tuple[Any, str]:
    """Return the results and the problem of a search; one of them is empty."""
    from executor.knowledge.search import search  # imports numpy, which no other page needs

    try:
        wanted = Filter(condition) if condition.strip() else None
    except BadExpression as error:
        text = str(error)
        return None, f"{text[0].upper()}{text[1:]}."
    return search(query.replace("\x00", " ")[:MAX_QUERY], limit=RESULTS, area=area, filter=wanted), ""
