"""Tasks: parameters, results, and every attempt that did not complete."""

from __future__ import annotations

from functools import partial

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IS_POPUP_VAR
from django.db.models import Count, QuerySet
from django.db.models.functions import Left
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from executor.access import caller_of_user
from executor.actions import BatchExecutor, buttons
from executor.domain.errors import ExecutorError
from executor.domain.formatting import duration
from executor.domain.states import TaskStatus
from executor.models import BatchTask, TaskAttempt

from . import display
from .readonly import MAX_PAGED, ReadOnly
from .task_list import BatchFilter, FunctionFilter, PriorityFilter, StatusFilter, TaskList, search, uuid_or_none

PREVIEWED = 20  # tasks that the confirmation names


class AttemptInline(admin.StackedInline):
    model = TaskAttempt
    verbose_name_plural = "attempts that did not complete"
    extra = max_num = 0
    can_delete = False
    ordering = ("number",)
    fields = readonly_fields = (
        *("outcome", "error_kind", "error_shown", "traceback_shown", "output_shown"),
        *("worker", "started_at", "ended_at"),
    )
    error_shown = display.column("error", display.text, "error")
    traceback_shown = display.column("traceback", display.text, "traceback")
    output_shown = display.column("output", display.json, "output")

    def has_add_permission(self, request, obj=None):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_view_permission(self, request, obj=None):
        """Permit users who may view tasks: attempts are part of them."""
        return request.user.has_perm("executor.view_batchtask")


@admin.register(BatchTask)
class TaskAdmin(ReadOnly):
    list_display = ("label", "function", "status", "priority", "batch", "attempt", "took", "error_head", "created_at")
    list_filter = (StatusFilter, PriorityFilter, FunctionFilter, BatchFilter)
    # Served backwards by the index on (batch, number): newest batch first, newest task first.
    ordering = ("-batch_id", "-number")
    search_fields = ("name",)
    search_help_text = "Task id, custom id, #number, or text in name, function and error"
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
    params_shown = display.column("params", display.json, "params")
    result_shown = display.column("result", display.json, "result")
    error_shown = display.column("error", display.text, "error")
    progress_shown = display.column("progress", display.json, "progress")
    took = display.column("execution time", duration, "execution_time")

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
        return task.head or display.NOTHING

    @admin.display(description="live page")
    def live(self, task):
        return display.link("task", task.pk, "Task page")

    @admin.display(description="batch")
    def batch_link(self, task):
        return display.link("admin:executor_batch_change", task.batch_id, str(task.batch))

    def change_view(self, request, object_id, form_url="", extra_context=None):
        task_id = uuid_or_none(object_id)
        status = task_id and BatchTask.objects.filter(pk=task_id).values_list("status", flat=True).first()
        commands = [{**button, "has_effect": status in button["statuses"]} for button in self._buttons(request)]
        return super().change_view(request, object_id, form_url, {"commands": commands, **(extra_context or {})})

    # --- actions on tasks ------------------------------------------------------------------------

    def _buttons(self, request: HttpRequest) -> list[dict]:
        """Return the buttons for tasks that this person may use."""
        scopes = caller_of_user(request.user).scopes
        return [button for button in buttons("tasks") if button["scope"] in scopes]

    def get_actions(self, request):
        """Offer the actions on tasks, made from their buttons."""
        if IS_POPUP_VAR in request.GET:
            return {}
        return {
            button["action"]: (
                partial(_act, button=button),
                button["action"],
                f"{button['label']} selected tasks",
            )
            for button in self._buttons(request)
        }

    def response_action(self, request, queryset, *args, **kwargs):
        if not all(map(uuid_or_none, request.POST.getlist(ACTION_CHECKBOX_NAME))):
            messages.error(request, "These are not ids of tasks.")
            return None
        return super().response_action(request, queryset, *args, **kwargs)


def _act(page: TaskAdmin, request: HttpRequest, tasks: QuerySet, button: dict) -> HttpResponse | None:
    """Run the action of a button; on many tasks after a confirmation."""
    ids = [str(pk) for pk in tasks.order_by().values_list("pk", flat=True)[: MAX_PAGED + 1]]
    if len(ids) > MAX_PAGED:
        where = "Choose fewer with the filters, or use the batch's live page."
        messages.error(request, f"More than {MAX_PAGED:,} tasks are selected. {where}")
        return None
    if len(ids) > 1 and "confirmed" not in request.POST:
        return _confirmation(page, request, tasks, button, len(ids))
    try:
        executor = BatchExecutor(caller_of_user(request.user))
        response = executor.execute(button["action"], task_ids=ids, **button["arguments"])
    except ExecutorError as error:
        messages.error(request, f"{error.message} {error.fix}".strip())
    else:
        messages.success(request, response.message)
    return None


def _confirmation(page: TaskAdmin, request: HttpRequest, tasks: QuerySet, button: dict, count: int) -> HttpResponse:
    by_status = dict(tasks.order_by().values_list("status").annotate(count=Count("pk")))
    rows = [
        {"status": status, "count": by_status[status], "has_effect": status in button["statuses"]}
        for status in TaskStatus.values
        if status in by_status
    ]
    context = {
        **page.admin_site.each_context(request),
        "title": f"{button['label']} {count:,} tasks?",
        "opts": page.opts,
        "button": button,
        "count": count,
        "changed": sum(row["count"] for row in rows if row["has_effect"]),
        "rows": rows,
        "tasks": tasks[:PREVIEWED],
        "more": max(0, count - PREVIEWED),
        "across": request.POST.get("select_across") == "1",
        "checkbox": ACTION_CHECKBOX_NAME,
        "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
        "back": request.get_full_path(),
        "media": page.media,
    }
    return TemplateResponse(request, "admin/executor/batchtask/confirm.html", context)
