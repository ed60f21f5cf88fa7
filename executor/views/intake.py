"""Adding tasks, to a batch or as a new one: one task with a form made from its function's schema, or many at once."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from executor.actions import BatchExecutor, task_formats
from executor.domain.errors import ExecutorError
from executor.reads import lists
from executor.views.page import page, sentence, show

from .forms import BatchForm, ManyForm, TaskForm, given_params, params_form

SHOWN_ERRORS = 200


@page
def batch_new(request: HttpRequest) -> HttpResponse:
    return _add(request, None)


@page
def task_add(request: HttpRequest, batch_id: UUID) -> HttpResponse:
    return _add(request, lists.batch(batch_id))


def _add(request: HttpRequest, batch: dict | None) -> HttpResponse:
    request.caller.require("submit")
    many = "many" in request.POST if request.method == "POST" else request.GET.get("tab") == "many"
    return (_many if many else _one)(request, batch)


def _one(request: HttpRequest, batch: dict | None) -> HttpResponse:
    posted = request.POST if request.method == "POST" else None
    functions = lists.functions()
    function = _chosen(functions, request.POST.get("function") or request.GET.get("function"))
    schema = function["parameters"] if function else {}
    made, task, params = BatchForm(posted, prefix="batch"), TaskForm(posted), params_form(schema, posted)
    forms = [task, params] if batch else [made, task, params]
    if posted is not None and function and all([form.is_valid() for form in forms]):
        item = {"function": function["name"], "params": given_params(params, schema), **task.given()}
        try:
            stored = _store(request, batch, made, [item])
        except ExecutorError as error:
            _blame(error, task, params)
        else:
            if "another" in posted:
                return redirect(f"{reverse('task_add', args=[stored])}?function={function['name']}")
            return redirect("batch", stored)
    context = {"functions": functions, "function": function, "made": made, "task": task, "params": params}
    return show(request, "executor/task_add.html", batch=batch, tab="one", **context)


def _many(request: HttpRequest, batch: dict | None) -> HttpResponse:
    posted = request.POST if request.method == "POST" else None
    made, form = BatchForm(posted, prefix="batch"), ManyForm(posted, request.FILES if posted is not None else None)
    problem, errors = None, []
    if posted is not None and all([form.is_valid(), batch or made.is_valid()]):
        lines: list[task_formats.Line] = []
        try:
            lines = task_formats.read(form.content(), form.cleaned_data["format"] or None)
            return redirect("batch", _store(request, batch, made, [line.task for line in lines]))
        except ExecutorError as error:
            problem, errors = error, [_placed(item, lines) for item in error.errors]
    return show(
        request,
        "executor/task_add.html",
        status=400 if problem else 200,
        batch=batch,
        tab="many",
        made=made,
        many=form,
        problem=problem,
        errors=errors[:SHOWN_ERRORS],
        more_errors=max(len(errors) - SHOWN_ERRORS, 0),
    )


def _store(request: HttpRequest, batch: dict | None, made: BatchForm, tasks: list[dict]) -> str:
    """Hand the tasks in; the id of the batch they are in. Raises ExecutorError."""
    goes = {"batch": batch["batch_id"]} if batch else made.cleaned_data
    start = {"start": True} if "start" in request.POST else {}
    response = BatchExecutor(request.caller).execute("add_batch", tasks=tasks, **goes, **start)
    messages.success(request, response.message)
    return response.data["batch_id"]


def _chosen(functions: list[dict], asked: str | None) -> dict | None:
    """The function that was asked for, or else the one to try things with, or one that can run here and asks for
    little."""
    named = [function for wanted in (asked, "simulate") for function in functions if function["name"] == wanted]
    ready = [function for function in functions if function["available"]]
    ready.sort(key=lambda function: len(function["parameters"].get("required", [])))
    return next(iter([*named, *ready, *functions]), None)


def _blame(error: ExecutorError, task: Form, params: Form) -> None:
    """Put each reason beside the field it is about, and the rest above the form."""
    rest = []
    for item in error.errors:
        field, reason = (item.get("field") or "").removeprefix("params."), item.get("reason", "")
        name = f"p_{field.partition('.')[0]}"
        if name in params.fields:
            params.add_error(name, reason)
        elif field in task.fields:
            task.add_error(field, reason)
        else:
            rest.append(f"{field} {reason}".strip())
    if rest or not error.errors:
        task.add_error(None, "; ".join(rest) if rest else sentence(error))


def _placed(item: dict, lines: list[task_formats.Line]) -> dict:
    """An error with the line its task stands on."""
    index = item.get("index")
    if "line" in item or not isinstance(index, int) or not 0 <= index < len(lines):
        return item
    return {**item, "line": lines[index].number}
