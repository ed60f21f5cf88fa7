"""The pages of a task, of the workers and of the functions."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse

from executor.reads import lists
from executor.storage import attempt_log
from executor.views.page import page, show

# The row that the script of the page copies.
BLANK = {"state": "active", "concurrency": 1, "running": 0, "cpu_percent": 0, "started_at": None, "heartbeat_at": None}


@page
def task(request: HttpRequest, task_id: UUID) -> HttpResponse:
    found = lists.task(task_id)
    log = attempt_log.read(UUID(found["batch_id"]).hex, found["number"], found["attempt"])
    return show(request, "executor/task.html", task=found, batch=lists.batch(found["batch_id"]), log=log)


@page
def workers(request: HttpRequest) -> HttpResponse:
    return show(request, "executor/workers.html", workers=lists.workers(), blank=BLANK)


@page
def functions(request: HttpRequest) -> HttpResponse:
    return show(request, "executor/functions.html", functions=lists.functions())
