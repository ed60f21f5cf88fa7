"""Adding tasks to a batch: one with a form made from its function's schema, or many at once."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from executor import intake_formats, reads
from executor.actions import BatchExecutor
from executor.errors import BadRequest, ExecutorError
from executor.forms import ManyForm, TaskForm, given_params, params_form
from executor.views.page import page, sentence, show

SHOWN_ERRORS = 200


@page
def task_add(request: HttpRequest, batch_id: UUID) -> HttpResponse:
    request.caller.require("submit")
    batch = reads.batch(batch_id)
    if request.method == "POST" and "many" in request.POST:
        return _add_many(request, batch)
    return _add_one(request, batch)


def _add_one(request: HttpRequest, batch: dict) -> HttpResponse:
    functions = reads.functions()
    asked = request.POST.get("function") or request.GET.get("function")
    function = next((item for item in functions if item["name"] == asked), None)
    if function is None:
        function = next((item for item in functions if item["available"]), functions[0] if functions else None)
    posted = request.POST if request.method == "POST" else None
    schema = function["parameters"] if function else {}
    task, params = TaskForm(posted), params_form(schema, posted)
    if posted is not None and function and all([task.is_valid(), params.is_valid()]):
        try:
            response = BatchExecutor(request.caller).execute(
                "add",
                batch=batch["batch_id"],
                function=function["name"],
                params=given_params(params, schema),
                **task.given(),
            )
        except ExecutorError as error:
            _blame(error, task, params)
        else:
            messages.success(request, response.message)
            again = reverse("task_add", args=[batch["batch_id"]]) + f"?function={function['name']}"
            return redirect(again if "another" in request.POST else reverse("batch", args=[batch["batch_id"]]))
    return _form(request, batch, functions=functions, function=function, task=task, params=params)


def _blame(error: ExecutorError, task: Form, params: Form) -> None:
    """Put each reason beside the field it is about."""
    task.add_error(None, sentence(error) if not error.errors else error.message)
    for item in error.errors:
        field, reason = (item.get("field") or "").removeprefix("params."), item.get("reason", "")
        if f"p_{field}" in params.fields:
            params.add_error(f"p_{field}", reason)
        elif field in task.fields:
            task.add_error(field, reason)
        else:
            task.add_error(None, f"{field}: {reason}" if field else reason)


def _add_many(request: HttpRequest, batch: dict) -> HttpResponse:
    form = ManyForm(request.POST, request.FILES)
    errors: list[dict] = []
    problem = None
    if form.is_valid():
        lines: list[intake_formats.Line] = []
        try:
            lines = intake_formats.read(form.content(), form.cleaned_data["format"] or None)
            start = {"start": True} if "start" in request.POST else {}
            response = BatchExecutor(request.caller).execute(
                "add_batch", batch=batch["batch_id"], tasks=[line.task for line in lines], **start
            )
        except BadRequest as error:
            problem, errors = error, [_placed(item, lines) for item in error.errors]
        except ExecutorError as error:
            problem = error
        else:
            messages.success(request, response.message)
            return redirect("batch", batch["batch_id"])
    functions = reads.functions()
    function = next(iter(functions), None)
    return _form(
        request,
        batch,
        status=400,
        functions=functions,
        function=function,
        task=TaskForm(),
        params=params_form(function["parameters"] if function else {}),
        many=form,
        problem=problem,
        errors=errors[:SHOWN_ERRORS],
        more_errors=max(len(errors) - SHOWN_ERRORS, 0),
    )


def _placed(item: dict, lines: list[intake_formats.Line]) -> dict:
    """An error with the line its task stands on."""
    index = item.get("index")
    if "line" in item or not isinstance(index, int) or not 0 <= index < len(lines):
        return item
    return {**item, "line": lines[index].number}


def _form(request: HttpRequest, batch: dict, *, status: int = 200, many: Form | None = None, **context) -> HttpResponse:
    tab = "many" if many is not None or request.GET.get("tab") == "many" else "one"
    return show(
        request, "executor/task_add.html", status=status, batch=batch, many=many or ManyForm(), tab=tab, **context
    )
