"""The buttons of a batch as plain forms: start, stop, update, cancel, retry, clear."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, HttpResponse, HttpResponseNotAllowed, QueryDict
from django.shortcuts import redirect
from django.urls import reverse

from executor.actions import ACTIONS
from executor.domain.states import MOVES
from executor.views.clearing import clear
from executor.views.filters import Filter
from executor.views.page import PageRequest, execute, page

# The actions on selected tasks, in the order of their buttons.
BULK_ACTIONS = [
    {
        "name": name,
        "label": name.capitalize(),
        "style": style,
        "summary": ACTIONS[name].summary,
        "sources": [str(status) for status in MOVES[name].sources],
    }
    for name, style in (("retry", ""), ("cancel", "danger"))
]


@page
def batch_action(request: PageRequest, batch_id: UUID, action: str) -> HttpResponse:
    """Run an action on a batch or on its selected tasks, and return to the page it was sent from."""
    if action == "clear":
        return clear(request, batch_id)
    if action not in ARGUMENTS:
        raise Http404(f"There is no action {action!r} for a batch.")
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    execute(request, action, **ARGUMENTS[action](request.POST, str(batch_id)))
    return redirect(_origin(request, batch_id))


def _start(form: QueryDict, batch: str) -> dict:
    return {"batch": batch, **_filled(form, "max_concurrent")}


def _stop(form: QueryDict, batch: str) -> dict:
    return {"batch": batch, "force": "force" in form}


def _update(form: QueryDict, batch: str) -> dict:
    return {"batch": batch, **_filled(form, "max_concurrent", "name")}


def _selected(form: QueryDict, batch: str) -> dict:
    """Return the parameters for the checked tasks, or for all that match the list's filter."""
    if form.get("scope") == "all":
        return {"batch": batch, **Filter(QueryDict(form.get("filter", ""))).selectors()}
    return {"task_ids": form.getlist("task_ids")}


def _filled(form: QueryDict, *names: str) -> dict:
    filled = {name: form.get(name, "").strip() for name in names}
    return {name: text for name, text in filled.items() if text}


ARGUMENTS = {"start": _start, "stop": _stop, "update": _update, "cancel": _selected, "retry": _selected}


def _origin(request: PageRequest, batch_id: UUID) -> str:
    """Return the address of the page with the button: the task, or the filtered list."""
    if request.POST.get("from") == "task" and len(request.POST.getlist("task_ids")) == 1:
        return reverse("task", args=[request.POST["task_ids"]])
    query = Filter(QueryDict(request.POST.get("filter", ""))).query()
    return reverse("batch", args=[batch_id]) + (f"?{query}" if query else "")
