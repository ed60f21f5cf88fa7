"""Workers, and the audit log."""

from __future__ import annotations

from uuid import UUID

from django.contrib import admin
from django.db.models import Max
from django.template.defaultfilters import filesizeformat

from executor.actions import ACTIONS
from executor.models import AuditEntry, WorkerNode

from . import display
from .readonly import ReadOnly
from .task_list import WordFilter

SEARCH_WINDOW = 100_000  # the newest entries, which filters and searches cover


@admin.register(WorkerNode)
class WorkerAdmin(ReadOnly):
    list_display = ("name", "host", "pid", "state", "running", "concurrency", "cpu", "memory", "heartbeat_at")
    list_filter = ("state",)
    ordering = ("-heartbeat_at", "name")
    search_fields = ("name", "host")
    fields = (
        *("name", "host", "pid", "state", "queues", "running", "concurrency", "cpu", "memory"),
        *("started_at", "heartbeat_at", "info_shown"),
    )
    info_shown = display.column("info", display.json, "info")

    @admin.display(description="CPU")
    def cpu(self, worker):
        return f"{worker.cpu_percent:.0f} %"

    @admin.display
    def memory(self, worker):
        return filesizeformat(worker.memory_bytes)


class ActionFilter(WordFilter):
    title = parameter_name = "action"

    def words(self) -> tuple[str, ...]:
        return tuple(name for name, action in ACTIONS.items() if action.audited)

    def chosen(self, tasks, word):
        return _recent(tasks).filter(action=word)


@admin.register(AuditEntry)
class AuditAdmin(ReadOnly):
    list_display = ("at", "actor", "action", "batch", "short")
    list_filter = (ActionFilter,)
    ordering = ("-id",)  # the order they were written in
    search_fields = ("actor",)
    search_help_text = f"Actor, or the whole id of a batch; among the newest {SEARCH_WINDOW:,} entries"
    fields = ("at", "actor", "action", "batch", "detail_shown")
    detail_shown = display.column("detail", display.json, "detail")

    def get_search_results(self, request, queryset, search_term):
        text = search_term.strip()
        if not text:
            return queryset, False
        try:
            return _recent(queryset).filter(batch_id=UUID(text)), False
        except ValueError:
            return _recent(queryset).filter(actor__icontains=text), False

    @admin.display
    def batch(self, entry):
        """Return a link to the batch; entries of a deleted batch remain, without a link."""
        return display.link("batch", entry.batch_id, str(entry.batch_id)) if entry.batch_id else display.NOTHING

    @admin.display(description="detail")
    def short(self, entry):
        words = ", ".join(f"{name} {value}" for name, value in (entry.detail or {}).items())
        return words[:200] or display.NOTHING


def _recent(entries):
    last = AuditEntry.objects.aggregate(last=Max("id"))["last"] or 0
    return entries.filter(id__gt=last - SEARCH_WINDOW)
