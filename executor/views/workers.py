"""The page of the workers."""

from django.http import HttpRequest, HttpResponse

from executor.reads.workers import list_workers
from executor.views.page import page, render_page

# The script of the page copies this row for each worker.
BLANK = {"state": "active", "concurrency": 1, "running": 0, "cpu_percent": 0, "started_at": None, "heartbeat_at": None}


@page
def workers(request: HttpRequest) -> HttpResponse:
    """Show the workers that reported lately."""
    return render_page(request, "executor/workers.html", workers=list_workers(), blank=BLANK)
