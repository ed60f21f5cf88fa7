"""Tasks: what they were given, what came of them, and every attempt that did not complete."""

from __future__ import annotations

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Count
from django.db.models.functions import Left
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from executor.access import caller_of_user
from executor.actions import BatchExecutor
from executor.domain.errors import ExecutorError
from executor.domain.states import TaskStatus
from executor.models import BatchTask, TaskAttempt

from . import shown
from .readonly import REACH, ReadOnly
from .task_list import BatchFilter, FunctionFilter, PriorityFilter, StatusFilter, TaskList, search, uuid_or_none

PREVIEWED = 20  # tasks that the question before an action names
TOUCHED = {
    "retry": (TaskStatus.FAILED, TaskStatus.CANCELLED),
    "cancel": (TaskStatus.QUEUED, TaskStatus.RUNNING),
}


class AttemptInline(admin.StackedInline):
    model = TaskAttempt
    verbose_name_plural = "attempts that did not complete"
    extra = max_num = 0
    can_delete = False
    ordering = ("number",)
    fields = ("outcome", "error_kind", "error_shown", "traceback_shown", "output_shown", "worker", "started_at")
    fields = readonly_fields = (*fields, "ended_at")
    error_shown = shown.column("error", shown.text, "error")
    traceback_shown = shown.column("traceback", shown.text, "traceback")
    output_shown = shown.column("output", shown.json, "output")

    def has_add_permission(self, request, obj=None):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_view_permission(self, request, obj=None):
        """Attempts are part of their task."""
        return request.user.has_perm("executor.view_batchtask")


@admin.register(BatchTask)
class TaskAdmin(ReadOnly):
    list_display = ("label", "function", "status", "priority", "batch", "attempt", "took", "error_head", "created_at")
    list_filter = (StatusFilter, PriorityFilter, FunctionFilter, BatchFilter)
    # Served backwards by the index on (batch, number): newest batch first, newest task first.
    ordering = ("-batch_id", "-number")
    search_fields = ("name",)
    search_help_text = "Task id, custom id, #number, or text in name, function and error"
    actions = ("retry", "cancel")
    inlines = (AttemptInline,)
    fieldsets = (
        (None, {"fields": ("task_id", "live", "batch_link", "number", "custom_id", "name", "function", "priority")}),
        ("State", {"fields": ("status", "progress_shown", "worker", "attempt", "retry_count", "run_after")}),
        ("Error", {"fields": ("error_kind", "error_shown")}),
        ("Parameters", {"fields": ("params_shown",)}),
        ("Result", {"fields": ("result_shown",)}),
        ("Times", {"fields": ("created_at", "started_at", "completed_at", "took", "dispatched_at")}),
        ("Limits", {"fields": ("max_retries", "retry_delay", "timeout", "cancel_requested_at")}),
    )
    params_shown = shown.column("params", shown.json, "params")
    result_shown = shown.column("result", shown.json, "result")
    error_shown = shown.column("error", shown.text, "error")
    progress_shown = shown.column("progress", shown.json, "progress")
    took = shown.column("execution time", shown.seconds, "execution_time")

    def get_queryset(self, request):
        tasks = super().get_queryset(request)
        if request.resolver_match and request.resolver_match.url_name.endswith("_changelist"):
            # The batches come by a query of their own: a join could make the database sort all tasks.
            tasks = tasks.defer("params", "result", "progress", "error").prefetch_related("batch")
            tasks = tasks.annotate(head=Left("error", 120))
        return tasks

    def get_changelist(self, request, **kwargs):
        return TaskList

    def get_search_results(self, request, queryset, search_term):
        return search(request, queryset, search_term), False

    @admin.display(description="task")
    def label(self, task):
        return str(task)

    @admin.display(description="error")
    def error_head(self, task):
        return task.head or shown.NOTHING

    @admin.display(description="live page")
    def live(self, task):
        return shown.link("task", task.pk, "Task page")

    @admin.display(description="batch")
    def batch_link(self, task):
        return shown.link("admin:executor_batch_change", task.batch_id, str(task.batch))

    def change_view(self, request, object_id, form_url="", extra_context=None):
        status = BatchTask.objects.filter(pk=uuid_or_none(object_id)).values_list("status", flat=True).first()
        may = {f"may_{action}": status in touched for action, touched in TOUCHED.items()}
        may["may_control"] = self.has_control_permission(request)
        return super().change_view(request, object_id, form_url, {**may, **(extra_context or {})})

    # --- retry and cancel ------------------------------------------------------------------------

    def has_control_permission(self, request: HttpRequest) -> bool:
        return "control" in caller_of_user(request.user).scopes

    @admin.action(description="Retry selected tasks", permissions=["control"])
    def retry(self, request, queryset):
        return self._act(request, queryset, "retry")

    @admin.action(description="Cancel selected tasks", permissions=["control"])
    def cancel(self, request, queryset):
        return self._act(request, queryset, "cancel")

    def response_action(self, request, queryset):
        if not all(map(uuid_or_none, request.POST.getlist(ACTION_CHECKBOX_NAME))):
            messages.error(request, "These are not ids of tasks.")
            return None
        return super().response_action(request, queryset)

    def _act(self, request: HttpRequest, tasks, action: str) -> HttpResponse | None:
        """Carry the action out; for many tasks only after a page that says what it will do."""
        ids = [str(pk) for pk in tasks.order_by().values_list("pk", flat=True)[: REACH + 1]]
        if len(ids) > REACH:
            where = "Choose fewer with the filters, or use the batch's live page."
            messages.error(request, f"More than {REACH:,} tasks are selected. {where}")
            return None
        if len(ids) > 1 and "confirmed" not in request.POST:
            return self._preview(request, tasks, action, len(ids))
        try:
            response = BatchExecutor(caller_of_user(request.user)).execute(action, task_ids=ids)
        except ExecutorError as error:
            messages.error(request, f"{error.message} {error.fix}".strip())
        else:
            messages.success(request, response.message)
        return None

    def _preview(self, request: HttpRequest, tasks, action: str, count: int) -> HttpResponse:
        by_status = dict(tasks.order_by().values_list("status").annotate(count=Count("pk")))
        rows = [
            {"status": status, "count": by_status[status], "touched": status in TOUCHED[action]}
            for status in TaskStatus.values
            if status in by_status
        ]
        return TemplateResponse(
            request,
            "admin/executor/batchtask/confirm.html",
            {
                **self.admin_site.each_context(request),
                "title": f"{action.capitalize()} {count:,} tasks?",
                "opts": self.opts,
                "action": action,
                "count": count,
                "touched": sum(row["count"] for row in rows if row["touched"]),
                "rows": rows,
                "tasks": tasks[:PREVIEWED],
                "more": max(0, count - PREVIEWED),
                "across": request.POST.get("select_across") == "1",
                "checkbox": ACTION_CHECKBOX_NAME,
                "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
                "back": request.get_full_path(),
                "media": self.media,
            },
        )
