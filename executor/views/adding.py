"""Adding tasks to a batch or as a new batch: one task by a form of its function's schema, or many at once."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.forms import Form
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from executor.actions import BatchExecutor, task_formats
from executor.domain.errors import ExecutorError
from executor.reads.batches import get_batch
from executor.reads.functions import list_functions
from executor.views.forms import BatchForm, ManyForm, TaskForm
from executor.views.page import PageRequest, page, render_page, sentence
from executor.views.schema_form import filled_params, params_form

MAX_ERRORS = 200  # listed on the page
DEFAULT_FUNCTION = "simulate"


@page
def batch_new(request: PageRequest) -> HttpResponse:
    """Show and process the form of a new batch."""
    return _add(request, None)


@page
def task_add(request: PageRequest, batch_id: UUID) -> HttpResponse:
    """Show and process the form that adds tasks to a batch."""
    return _add(request, get_batch(batch_id))


def _add(request: PageRequest, batch: dict | None) -> HttpResponse:
    request.caller.require("submit")
    many = "many" in request.POST if request.method == "POST" else request.GET.get("tab") == "many"
    return (_many if many else _one)(request, batch)


def _one(request: PageRequest, batch: dict | None) -> HttpResponse:
    posted = request.POST if request.method == "POST" else None
    functions = list_functions()
    function = _chosen(functions, request.POST.get("function") or request.GET.get("function"))
    schema = function["parameters"] if function else {}
    batch_form, task, params = BatchForm(posted, prefix="batch"), TaskForm(posted), params_form(schema, posted)
    forms = [task, params] if batch else [batch_form, task, params]
    if posted is not None and function and all([form.is_valid() for form in forms]):
        item = {"function": function["name"], "params": filled_params(params, schema), **task.filled()}
        try:
            batch_id = _store(request, batch, batch_form, [item])
        except ExecutorError as error:
            _add_errors(error, task, params)
        else:
            if "another" in posted:
                return redirect(f"{reverse('task_add', args=[batch_id])}?function={function['name']}")
            return redirect("batch", batch_id)
    return render_page(
        request,
        "executor/task_add.html",
        batch=batch,
        tab="one",
        functions=functions,
        function=function,
        batch_form=batch_form,
        task=task,
        params=params,
    )


def _many(request: PageRequest, batch: dict | None) -> HttpResponse:
    posted = request.POST if request.method == "POST" else None
    batch_form = BatchForm(posted, prefix="batch")
    form = ManyForm(posted, request.FILES if posted is not None else None)
    problem, errors = None, []
    if posted is not None and all([form.is_valid(), batch or batch_form.is_valid()]):
        lines: list[task_formats.Line] = []
        try:
            lines = task_formats.read(form.content(), form.cleaned_data["format"] or None)
            return redirect("batch", _store(request, batch, batch_form, [line.task for line in lines]))
        except ExecutorError as error:
            problem, errors = error, [_with_line(item, lines) for item in error.errors]
    return render_page(
        request,
        "executor/task_add.html",
        status=400 if problem else 200,
        batch=batch,
        tab="many",
        batch_form=batch_form,
        many=form,
        problem=problem,
        errors=errors[:MAX_ERRORS],
        more_errors=max(len(errors) - MAX_ERRORS, 0),
    )


def _store(request: PageRequest, batch: dict | None, batch_form: BatchForm, tasks: list[dict]) -> str:
    """Add the tasks and return the id of their batch.

    Raises ExecutorError.
    """
    target = {"batch": batch["batch_id"]} if batch else batch_form.cleaned_data
    start = {"start": True} if "start" in request.POST else {}
    response = BatchExecutor(request.caller).execute("add_batch", tasks=tasks, **target, **start)
    messages.success(request, response.message)
    return response.data["batch_id"]


def _chosen(functions: list[dict], name: str | None) -> dict | None:
    """Return the named function; else the default, or the available one with the fewest required parameters."""
    named = [function for wanted in (name, DEFAULT_FUNCTION) for function in functions if function["name"] == wanted]
    available = [function for function in functions if function["available"]]
    available.sort(key=lambda function: len(function["parameters"].get("required", [])))
    return next(iter([*named, *available, *functions]), None)


def _add_errors(error: ExecutorError, task: Form, params: Form) -> None:
    """Add each reason to the field it is about, and the others to the form."""
    others = []
    for item in error.errors:
        field, reason = (item.get("field") or "").removeprefix("params."), item.get("reason", "")
        name = f"p_{field.partition('.')[0]}"
        if name in params.fields:
            params.add_error(name, reason)
        elif field in task.fields:
            task.add_error(field, reason)
        else:
            others.append(f"{field} {reason}".strip())
    if others or not error.errors:
        task.add_error(None, "; ".join(others) if others else sentence(error))


def _with_line(item: dict, lines: list[task_formats.Line]) -> dict:
    """Add to an error the line of its task."""
    index = item.get("index")
    if "line" in item or not isinstance(index, int) or not 0 <= index < len(lines):
        return item
    return {**item, "line": lines[index].number}
