"""The buttons of a batch as plain forms: start, stop, update, cancel, retry, clear."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, QueryDict
from django.shortcuts import redirect
from django.urls import reverse

from executor.actions import BatchExecutor
from executor.domain.states import FINAL
from executor.reads import lists
from executor.views.filters import STATUSES, Filter
from executor.views.page import execute, page, show

DAYS = {"": "of any age", "1": "older than 1 day", "7": "older than 7 days", "30": "older than 30 days"}
DAY_SECONDS = 86_400


@page
def batch_action(request: HttpRequest, batch_id: UUID, action: str) -> HttpResponse:
    if action == "clear":
        return clear(request, batch_id)
    if action not in ARGUMENTS:
        raise Http404(f"There is no action {action!r} for a batch.")
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    execute(request, action, **ARGUMENTS[action](request.POST, str(batch_id)))
    return redirect(_back(request, batch_id))


def clear(request: HttpRequest, batch_id: UUID) -> HttpResponse:
    """First what would be deleted, then the deletion."""
    batch = lists.batch(batch_id)
    asked = request.POST if request.method == "POST" else request.GET
    statuses = [status for status in FINAL if status in asked.getlist("statuses")] or ["completed"]
    days = asked.get("days") if asked.get("days") in DAYS else ""
    arguments = {"batch": str(batch_id), "statuses": [str(status) for status in statuses]}
    if days:
        arguments["older_than"] = int(days) * DAY_SECONDS
    if request.method == "POST":
        if execute(request, "clear", **arguments):
            return redirect("batch", batch_id)
        return redirect(request.get_full_path())
    preview = BatchExecutor(request.caller).execute("clear", **arguments, dry_run=True)
    return show(
        request,
        "executor/clear.html",
        batch=batch,
        rows=[
            {
                "status": status,
                "deleted": preview.data["would_delete"].get(status, 0),
                "kept": batch["request_counts"][status] - preview.data["would_delete"].get(status, 0),
            }
            for status in STATUSES
        ],
        total=sum(preview.data["would_delete"].values()),
        statuses=arguments["statuses"],
        all_statuses=[str(status) for status in FINAL],
        days=days,
        all_days=DAYS.items(),
    )


def _start(form: QueryDict, batch: str) -> dict:
    return {"batch": batch, **_filled(form, "max_concurrent")}


def _stop(form: QueryDict, batch: str) -> dict:
    return {"batch": batch, "force": "force" in form}


def _update(form: QueryDict, batch: str) -> dict:
    return {"batch": batch, **_filled(form, "max_concurrent", "name")}


def _selected(form: QueryDict, batch: str) -> dict:
    """The ticked tasks, or all that match the list's filter."""
    if form.get("scope") == "all":
        return {"batch": batch, **Filter(QueryDict(form.get("filter", ""))).selectors()}
    return {"task_ids": form.getlist("task_ids")}


def _filled(form: QueryDict, *names: str) -> dict:
    return {name: form[name].strip() for name in names if form.get(name, "").strip()}


ARGUMENTS = {"start": _start, "stop": _stop, "update": _update, "cancel": _selected, "retry": _selected}


def _back(request: HttpRequest, batch_id: UUID) -> str:
    """To where the person was: the task's page, or the same filtered list."""
    if request.POST.get("from") == "task" and len(request.POST.getlist("task_ids")) == 1:
        return reverse("task", args=[request.POST["task_ids"]])
    query = Filter(QueryDict(request.POST.get("filter", ""))).query()
    return reverse("batch", args=[batch_id]) + (f"?{query}" if query else "")
