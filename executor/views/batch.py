"""The page of a batch."""

from __future__ import annotations

from dataclasses import asdict
from uuid import UUID

from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone

from executor import functions
from executor.domain.states import BatchState, TaskStatus
from executor.models import BatchTask
from executor.reads.batches import get_batch, recent_progress
from executor.reads.task_table import COLUMNS, DETAILS
from executor.reads.tasks import Page, list_tasks
from executor.views.buttons import batch_buttons, task_buttons
from executor.views.filters import PRIORITIES, Filter
from executor.views.page import PageRequest, page, render_page

ROWS = 50
MAX_OFFSET = 1_000_000
EXPORT_FORMATS = (("json", "JSON"), ("jsonl", "JSON Lines"), ("csv", "CSV"))


@page
def batch(request: PageRequest, batch_id: UUID) -> HttpResponse:
    """Show a batch and a page of its tasks."""
    task_filter = Filter(request.GET)
    found = get_batch(batch_id)
    offset, cursor = _offset(request.GET.get("offset")), request.GET.get("cursor") or None
    tasks = list_tasks(batch_id, task_filter.for_reading(), ROWS, cursor, offset)
    now = timezone.now()
    return render_page(
        request,
        "executor/batch.html",
        batch=found,
        filter=task_filter,
        columns=COLUMNS,
        rows=[(task, [(column, column.text(task, now)) for column in COLUMNS]) for task in tasks.items],
        matching=tasks.matching,
        previous=max(offset - ROWS, 0) if offset else None,
        following=_next_page(tasks, offset, cursor),
        searched_to=tasks.searched_to,
        all_query=task_filter.query(status=None),
        statuses=[
            {
                "status": status,
                "count": found["request_counts"][status],
                "on": status in task_filter.status,
                "query": task_filter.toggled(status),
            }
            for status in TaskStatus.values
        ],
        priorities=PRIORITIES,
        functions=functions.names(),
        export_formats=EXPORT_FORMATS,
        head_buttons=batch_buttons(found, request.caller.scopes, "head"),
        menu_buttons=batch_buttons(found, request.caller.scopes, "menu"),
        task_buttons=task_buttons(request.caller.scopes),
        island=_island(request, found, task_filter, tasks, offset),
    )


def _island(request: PageRequest, batch: dict, task_filter: Filter, tasks: Page, offset: int) -> dict:
    """Return the data that the scripts start with: the same as on the page."""
    batch_id = batch["batch_id"]
    number, task_id = _opened(batch_id, request.GET.get("task", ""))
    return {
        "batch": batch,
        "filter": task_filter.as_dict(),
        "tasks": tasks.items,
        "matching": tasks.matching,
        "offset": offset,
        "pace": recent_progress(batch) if batch["state"] in (BatchState.RUNNING, BatchState.STOPPING) else [],
        "whole": tasks.searched_to is None and not request.GET.get("cursor"),
        "columns": [asdict(column) for column in COLUMNS],
        "details": [asdict(detail) for detail in DETAILS],
        "buttons": [asdict(button) for button in task_buttons(request.caller.scopes)],
        "scopes": sorted(request.caller.scopes),
        "open": number,
        "open_id": task_id,
        "urls": {
            "socket": f"/ws/batches/{batch_id}",
            "batch": f"/api/batches/{batch_id}",
            "tasks": f"/api/batches/{batch_id}/tasks",
            "events": f"/api/batches/{batch_id}/events",
            "export": f"/api/batches/{batch_id}/export",
            "page": reverse("batch", args=[batch_id]),
        },
    }


def _next_page(tasks: Page, offset: int, cursor: str | None) -> str:
    """Return the query of the next page without the filter; empty on the last page."""
    if not tasks.next_cursor:
        return ""
    by_cursor = cursor or tasks.searched_to is not None
    return f"cursor={tasks.next_cursor}" if by_cursor else f"offset={offset + ROWS}"


def _offset(text: str | None) -> int:
    return min(int(text), MAX_OFFSET) if text and text.isascii() and text.isdecimal() else 0


def _opened(batch_id: str, key: str) -> tuple[int, str]:
    """Return number and id of the task that the address opens, by either of them; 0 without one."""
    tasks = BatchTask.objects.filter(batch_id=batch_id)
    if key.isascii() and key.isdecimal() and len(key) < 10:
        tasks = tasks.filter(number=int(key))
    else:
        try:
            tasks = tasks.filter(task_id=UUID(key))
        except ValueError:
            return 0, ""
    found = tasks.values_list("number", "task_id").first()
    return (found[0], str(found[1])) if found else (0, "")
