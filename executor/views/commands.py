"""The address that the buttons of a batch and of its tasks post to."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, HttpResponse, HttpResponseNotAllowed, QueryDict
from django.shortcuts import redirect
from django.urls import reverse

from executor.actions import ACTIONS, Action
from executor.views.clearing import clear
from executor.views.filters import Filter
from executor.views.page import PageRequest, execute, page


@page
def batch_action(request: PageRequest, batch_id: UUID, action: str) -> HttpResponse:
    """Run an action on a batch or on its selected tasks, and return to the page with its button."""
    entry = ACTIONS.get(action)
    if entry is None or not entry.buttons:
        raise Http404(f"There is no action {action!r} for a batch.")
    if action == "clear":
        return clear(request, batch_id)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    execute(request, action, **_arguments(entry, request.POST, str(batch_id)))
    return redirect(_origin(request, batch_id))


def _arguments(entry: Action, form: QueryDict, batch: str) -> dict:
    """Return the parameters of an action: the filled-in fields, and the batch or the selected tasks."""
    names = entry.parameters.model_fields.keys() - {"batch", "task_ids", *Filter.KEYS}
    if entry.buttons[0].target == "batch":
        names |= {field for button in entry.buttons for field in button.fields}
        selected: dict = {"batch": batch}
    elif form.get("scope") == "all":
        selected = {"batch": batch, **Filter(QueryDict(form.get("filter", ""))).as_parameters()}
    else:
        selected = {"task_ids": form.getlist("task_ids")}
    filled = {name: form.get(name, "").strip() for name in names}
    return {**{name: text for name, text in filled.items() if text}, **selected}


def _origin(request: PageRequest, batch_id: UUID) -> str:
    """Return the address of the page with the button: the task, or the filtered list."""
    if request.POST.get("from") == "task" and len(request.POST.getlist("task_ids")) == 1:
        return reverse("task", args=[request.POST["task_ids"]])
    query = Filter(QueryDict(request.POST.get("filter", ""))).query()
    return reverse("batch", args=[batch_id]) + (f"?{query}" if query else "")
