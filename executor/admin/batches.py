"""Batches and their counters."""

from __future__ import annotations

from uuid import UUID

from django.contrib import admin
from django.db.models import Q
from django.urls import reverse
from django.utils.html import format_html

from executor.domain.formatting import duration
from executor.domain.states import PRIORITIES, TaskStatus
from executor.models import Batch, BatchStats
from executor.reads import estimate

from . import display
from .readonly import ReadOnly

COUNTS = tuple(TaskStatus.values)


def _progress(stats: BatchStats) -> str:
    percent = estimate.progress_percentage(stats)
    return format_html('<progress max="100" value="{}"></progress> {} %', percent, f"{percent:g}")


def _counts(stats: BatchStats) -> str:
    named = [f"{getattr(stats, name):,} {name}" for name in COUNTS if getattr(stats, name)]
    return ", ".join(named) or "no tasks"


@admin.register(Batch)
class BatchAdmin(ReadOnly):
    list_display = ("title", "live", "state", "counts", "progress", "max_concurrent", "owner", "created_at")
    list_filter = ("state",)
    list_select_related = ("stats",)
    ordering = ("-created_at", "-batch_id")
    search_fields = ("name",)
    search_help_text = "Name, owner, or the whole id"
    fieldsets = (
        (None, {"fields": ("batch_id", "name", "live", "tasks", "state", "stop_forced", "owner", "is_default")}),
        ("Progress", {"fields": ("progress", "counts", "max_concurrent", "created_at", "started_at", "finished_at")}),
        ("Notes", {"fields": ("metadata_shown",)}),
    )
    metadata_shown = display.column("metadata", display.json, "metadata")

    def get_search_results(self, request, queryset, search_term):
        text = search_term.strip()
        if not text:
            return queryset, False
        try:
            return queryset.filter(batch_id=UUID(text)), False
        except ValueError:
            return queryset.filter(Q(name__icontains=text) | Q(owner=text)), False

    @admin.display(description="batch")
    def title(self, batch):
        return str(batch)

    @admin.display(description="tasks")
    def counts(self, batch):
        return _counts(batch.stats)

    @admin.display
    def progress(self, batch):
        return _progress(batch.stats)

    @admin.display
    def started_at(self, batch):
        return batch.stats.start_time

    @admin.display
    def finished_at(self, batch):
        return batch.stats.end_time

    @admin.display(description="live page")
    def live(self, batch):
        return display.link("batch", batch.pk, "Live page")

    @admin.display(description="tasks")
    def tasks(self, batch):
        where = reverse("admin:executor_batchtask_changelist")
        return format_html('<a href="{}?batch={}">{} tasks</a>', where, batch.pk, f"{batch.stats.total_tasks:,}")


@admin.register(BatchStats)
class BatchStatsAdmin(ReadOnly):
    list_display = ("batch", "total_tasks", *COUNTS, "retries", "average", "start_time", "end_time", "seq")
    list_select_related = ("batch",)
    ordering = ("-batch_id",)
    search_fields = ("batch__name",)
    search_help_text = "Name of the batch"
    fieldsets = (
        (None, {"fields": ("batch_link", "progress", "total_tasks", *COUNTS)}),
        ("Queued by priority", {"fields": tuple(priority.queued_counter for priority in PRIORITIES)}),
        (
            "Times",
            {"fields": ("start_time", "end_time", "average", "total_execution_time", "total_wait_time", "changed_at")},
        ),
        ("Counters", {"fields": ("started", "retries", "last_number", "seq")}),
    )

    @admin.display(description="batch")
    def batch_link(self, stats):
        return display.link("admin:executor_batch_change", stats.pk, str(stats.batch))

    @admin.display
    def progress(self, stats):
        return _progress(stats)

    @admin.display(description="average task time")
    def average(self, stats):
        return duration(estimate.average_task_time(stats))
