"""The list of batches."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse

from executor.domain.states import BatchState, TaskStatus
from executor.reads.batches import list_batches
from executor.views.page import page, render_page

ROWS = 50

# The script of the list copies this row for each new batch.
BLANK = {
    "batch_id": UUID(int=0),
    "name": "",
    "owner": "",
    "state": "open",
    "created_at": None,
    "request_counts": dict.fromkeys(TaskStatus.values, 0),
    "stats": {"total_tasks": 0, "progress_percentage": 0},
}


@page
def batches(request: HttpRequest) -> HttpResponse:
    """Show a page of the batches, newest first, by state and name."""
    state = request.GET.get("state") if request.GET.get("state") in BatchState.values else None
    cursor, q = request.GET.get("cursor") or None, request.GET.get("q", "")
    found, next_cursor = list_batches(limit=ROWS, cursor=cursor, state=state or "", q=q.strip())
    return render_page(
        request,
        "executor/batches.html",
        batches=found,
        next_cursor=next_cursor,
        state=state,
        states=BatchState.values,
        q=q,
        live=not (cursor or state or q),
        blank=BLANK,
    )
