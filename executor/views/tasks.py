"""The page of a task."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from executor.reads import lists
from executor.reads.task_table import DETAILS
from executor.storage import attempt_log
from executor.views.commands import BULK_ACTIONS
from executor.views.page import page, render_page


@page
def task(request: HttpRequest, task_id: UUID) -> HttpResponse:
    """Show a task with its attempts and the log of the last one."""
    found, now = lists.task(task_id), timezone.now()
    details = [(detail, detail.text(found, now)) for detail in DETAILS]
    return render_page(
        request,
        "executor/task.html",
        task=found,
        batch=lists.batch(found["batch_id"]),
        details=[(detail, text) for detail, text in details if text],
        log=attempt_log.read(UUID(found["batch_id"]).hex, found["number"], found["attempt"]),
        actions=BULK_ACTIONS,
        island={"task": found, "details": [detail.as_dict() for detail in DETAILS]},
    )
