"""The page of a task."""

from __future__ import annotations

from dataclasses import asdict
from uuid import UUID

from django.http import HttpResponse
from django.utils import timezone

from executor.reads.batches import get_batch
from executor.reads.task_table import DETAILS
from executor.reads.tasks import get_task
from executor.storage import attempt_log
from executor.views.buttons import task_buttons
from executor.views.page import PageRequest, page, render_page


@page
def task(request: PageRequest, task_id: UUID) -> HttpResponse:
    """Show a task with its attempts and the log of the last one."""
    found, now = get_task(task_id), timezone.now()
    details = [(detail, detail.text(found, now)) for detail in DETAILS]
    buttons = task_buttons(request.caller.scopes)
    return render_page(
        request,
        "executor/task.html",
        task=found,
        batch=get_batch(found["batch_id"]),
        details=[(detail, text) for detail, text in details if text],
        log=attempt_log.read(UUID(found["batch_id"]), found["number"], found["attempt"]),
        buttons=buttons,
        island={
            "task": found,
            "details": [asdict(detail) for detail in DETAILS],
            "buttons": [asdict(button) for button in buttons],
        },
    )
