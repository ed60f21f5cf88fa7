"""The pages of the knowledge base: search, documents, upload; and one document with its passages."""

from __future__ import annotations

from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from executor.domain.errors import ExecutorError
from executor.knowledge import documents
from executor.knowledge.expressions import BadExpression, Filter
from executor.knowledge.formats import SUFFIXES
from executor.knowledge.presenters import shown
from executor.models import Chunk
from executor.views.page import page, sentence, show

from .forms import JSONField

DOCUMENTS = 50
PASSAGES = 100
RESULTS = 20


class ManyFilesInput(forms.ClearableFileInput):
    allow_multiple_selected = True


class ManyFilesField(forms.FileField):
    widget = ManyFilesInput(attrs={"accept": ",".join(sorted(SUFFIXES))})

    def clean(self, data, initial=None):
        return [super(ManyFilesField, self).clean(each, initial) for each in data or [None]]


class UploadForm(forms.Form):
    files = ManyFilesField(label="Files", help_text="Markdown, text, HTML, PDF, DOCX, CSV or JSON.")
    area = forms.CharField(max_length=100, initial="main", help_text="Searches can be limited to an area.")
    metadata = JSONField(
        required=False,
        label="Metadata",
        help_text='Facts for filters, as JSON: {"year": 2026}',
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
    )
    replace = forms.BooleanField(required=False, label="Replace documents of the same name")

    def clean_metadata(self):
        metadata = self.cleaned_data["metadata"] or {}
        if not isinstance(metadata, dict):
            raise forms.ValidationError("The metadata must be a JSON object.")
        return metadata


@page
def knowledge(request: HttpRequest) -> HttpResponse:
    form = UploadForm()
    if request.method == "POST":
        request.caller.require("submit")
        form = UploadForm(request.POST, request.FILES)
        if form.is_valid():
            _upload(request, form.cleaned_data)
            return redirect("knowledge")
    query, area = request.GET.get("query", "").strip(), request.GET.get("area", "")
    found, problem = (None, "") if not query else _found(query, area, request.GET.get("filter", ""))
    title = request.GET.get("q", "")
    listed, next_cursor = documents.listed(area, title, DOCUMENTS, request.GET.get("cursor", ""))
    return show(
        request,
        "executor/knowledge.html",
        status=400 if form.errors or problem else 200,
        form=form,
        query=query,
        area=area,
        filter=request.GET.get("filter", ""),
        q=title,
        found=found,
        problem=problem,
        areas=documents.areas(),
        documents=[shown(document) for document in listed],
        next_cursor=next_cursor,
    )


@page
def document(request: HttpRequest, document_id: UUID) -> HttpResponse:
    found = documents.find(document_id.hex)
    if request.method == "POST":
        request.caller.require("control")
        documents.remove(document_id.hex, actor=request.caller.key)
        messages.success(request, f"{found.title} is removed.")
        return redirect("knowledge")
    after = request.GET.get("after", "")
    first = int(after) if after.isdecimal() and len(after) < 9 else 0
    chunks = list(Chunk.objects.filter(document=found, number__gt=first).order_by("number")[:PASSAGES])
    last = chunks[-1].number if chunks else 0
    more = last if last < found.chunk_count else None
    return show(request, "executor/knowledge_document.html", document=shown(found), chunks=chunks, more=more)


def _upload(request: HttpRequest, given: dict) -> None:
    """Take the files in one by one, and tell of each what is not as hoped."""
    counts = {"added": 0, "replaced": 0, "unchanged": 0}
    how = {"area": given["area"], "metadata": given["metadata"], "replace": given["replace"]}
    for file in given["files"]:
        try:
            counts[documents.add(file.name, file.read(), owner=request.caller.key, **how).status] += 1
        except ExecutorError as error:
            messages.error(request, sentence(error))
    told = [f"{count} {status}" for status, count in counts.items() if count]
    if told:
        unchanged = " Unchanged ones have the content of a document that is there." if counts["unchanged"] else ""
        messages.success(request, f"Documents: {', '.join(told)}.{unchanged}")


def _found(query: str, area: str, text: str):
    from executor.knowledge.search import search  # loads numpy: only where it is needed

    try:
        wanted = Filter(text) if text.strip() else None
    except BadExpression as error:
        return None, f"{str(error)[0].upper()}{str(error)[1:]}."
    return search(query.replace("\x00", " ")[:10_000], limit=RESULTS, area=area, filter=wanted), ""
