"""The list of batches, and the page of one."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from executor import functions
from executor.domain.states import BatchState
from executor.models import BatchTask
from executor.reads import lists
from executor.views.filters import PRIORITIES, STATUSES, Filter
from executor.views.page import page, show

from .columns import COLUMNS

ROWS = 50

# The row that the script of the list copies for a batch that came while the page was open.
BLANK = {
    "batch_id": UUID(int=0),
    "name": "",
    "owner": "",
    "state": "open",
    "created_at": None,
    "request_counts": dict.fromkeys(STATUSES, 0),
    "stats": {"total_tasks": 0, "progress_percentage": 0},
}


@page
def batches(request: HttpRequest) -> HttpResponse:
    state = request.GET.get("state") if request.GET.get("state") in BatchState.values else None
    found, following = lists.batches(
        limit=ROWS, cursor=request.GET.get("cursor") or None, state=state or "", q=request.GET.get("q", "").strip()
    )
    return show(
        request,
        "executor/batches.html",
        batches=found,
        next_cursor=following,
        state=state,
        states=BatchState.values,
        q=request.GET.get("q", ""),
        live=not any(request.GET.get(key) for key in ("cursor", "state", "q")),
        blank=BLANK,
    )


@page
def batch(request: HttpRequest, batch_id: UUID) -> HttpResponse:
    chosen = Filter(request.GET)
    shown = lists.batch(batch_id)
    offset, cursor = _offset(request.GET.get("offset")), request.GET.get("cursor") or None
    tasks = lists.tasks(batch_id, chosen.for_reading(), ROWS, cursor, offset)
    return show(
        request,
        "executor/batch.html",
        batch=shown,
        filter=chosen,
        tasks=tasks.items,
        matching=tasks.matching,
        offset=offset,
        previous=max(offset - ROWS, 0) if offset else None,
        following=_following(tasks, offset, cursor),
        searched_to=tasks.searched_to,
        all_query=chosen.query(status=None),
        statuses=[
            {
                "status": status,
                "count": shown["request_counts"][status],
                "on": status in chosen.status,
                "query": chosen.toggled(status),
            }
            for status in STATUSES
        ],
        priorities=PRIORITIES,
        columns=COLUMNS,
        functions=functions.names(),
        island=_island(request, shown, chosen, tasks, offset),
    )


def _island(request: HttpRequest, batch: dict, chosen: Filter, tasks, offset: int) -> dict:
    """What the page's scripts start from: the same data that the page was rendered from."""
    number, task_id = _opened(batch["batch_id"], request.GET.get("task", ""))
    return {
        "batch": batch,
        "filter": chosen.as_dict(),
        "tasks": tasks.items,
        "matching": tasks.matching,
        "offset": offset,
        "pace": lists.pace(batch) if batch["state"] in (BatchState.RUNNING, BatchState.STOPPING) else [],
        "whole": tasks.searched_to is None and not request.GET.get("cursor"),
        "columns": [column.as_dict() for column in COLUMNS],
        "scopes": sorted(request.caller.scopes),
        "open": number,
        "open_id": task_id,
        "urls": {
            "socket": f"/ws/batches/{batch['batch_id']}",
            "batch": f"/api/batches/{batch['batch_id']}",
            "tasks": f"/api/batches/{batch['batch_id']}/tasks",
            "events": f"/api/batches/{batch['batch_id']}/events",
            "export": f"/api/batches/{batch['batch_id']}/export",
            "page": reverse("batch", args=[batch["batch_id"]]),
        },
    }


def _following(tasks: lists.Page, offset: int, cursor: str | None) -> str:
    """What the address of the next page says besides the filter; nothing where there is none."""
    if not tasks.next_cursor:
        return ""
    by_cursor = cursor or tasks.searched_to is not None
    return f"cursor={tasks.next_cursor}" if by_cursor else f"offset={offset + ROWS}"


def _offset(text: str | None) -> int:
    return min(int(text), 1_000_000) if text and text.isascii() and text.isdecimal() else 0


def _opened(batch_id: str, asked: str) -> tuple[int, str]:
    """Number and id of the task that the address asks to open, by either of them; 0 when there is none."""
    tasks = BatchTask.objects.filter(batch_id=batch_id)
    if asked.isascii() and asked.isdecimal() and len(asked) < 10:
        tasks = tasks.filter(number=int(asked))
    else:
        try:
            tasks = tasks.filter(task_id=UUID(asked))
        except ValueError:
            return 0, ""
    found = tasks.values_list("number", "task_id").first()
    return (found[0], str(found[1])) if found else (0, "")
