"""The page that clears a batch's final tasks: first a preview, then the deletion."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import redirect

from executor.actions import BatchExecutor
from executor.domain.states import FINAL, TaskStatus
from executor.reads.batches import get_batch
from executor.views.page import PageRequest, execute, render_page

AGES = {"": "of any age", "1": "older than 1 day", "7": "older than 7 days", "30": "older than 30 days"}
DAY_SECONDS = 86_400


def clear(request: PageRequest, batch_id: UUID) -> HttpResponse:
    """Show the number of tasks that would be deleted; delete them on POST."""
    batch = get_batch(batch_id)
    form = request.POST if request.method == "POST" else request.GET
    statuses = [str(status) for status in FINAL if status in form.getlist("statuses")] or [str(TaskStatus.COMPLETED)]
    days = form.get("days") if form.get("days") in AGES else ""
    arguments: dict[str, Any] = {"batch": str(batch_id), "statuses": statuses}
    if days:
        arguments["older_than"] = int(days) * DAY_SECONDS
    if request.method == "POST":
        if execute(request, "clear", **arguments):
            return redirect("batch", batch_id)
        return redirect(request.get_full_path())
    preview = BatchExecutor(request.caller).execute("clear", **arguments, dry_run=True)
    deleted = preview.data["would_delete"]
    counts = batch["request_counts"]
    return render_page(
        request,
        "executor/clear.html",
        batch=batch,
        rows=[
            {"status": status, "deleted": deleted.get(status, 0), "kept": counts[status] - deleted.get(status, 0)}
            for status in TaskStatus.values
        ],
        total=sum(deleted.values()),
        statuses=statuses,
        all_statuses=[str(status) for status in FINAL],
        days=days,
        ages=AGES.items(),
    )
