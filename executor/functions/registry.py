"""The registry of task functions."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from django.utils.module_loading import autodiscover_modules
from pydantic import BaseModel

from executor.domain.discovery import import_submodules
from executor.domain.errors import UnknownFunction

from .context import TaskContext
from .signatures import signature_of

PACKAGE = __name__.rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class TaskFunction:
    """A registered task function.

    `parameters` is its pydantic model. `scope` is the scope that a caller needs besides `submit`. A `personal` function
    works with data of the batch's owner, and only the owner may call it there. `unavailable` returns why it cannot run
    here, or an empty string. `delegate` maps parameters to the (name, parameters) of the function that runs instead.
    """

    name: str
    call: Callable
    parameters: type[BaseModel]
    is_async: bool
    model_name: str | None  # the parameter that takes the whole model
    context_name: str | None  # the parameter that takes the context
    summary: str
    doc: str
    built_in: bool
    example: dict = field(default_factory=dict)
    scope: str = ""
    personal: bool = False
    unavailable: Callable[[], str] = lambda: ""
    delegate: Callable[[dict], tuple[str, dict]] | None = None

    def arguments(self, params: dict, context: TaskContext) -> dict[str, Any]:
        """Return the keyword arguments of one call. Raises pydantic's ValidationError."""
        model = self.parameters.model_validate(params)
        if self.model_name:
            arguments: dict[str, Any] = {self.model_name: model}
        else:
            arguments = {name: getattr(model, name) for name in type(model).model_fields}
        if self.context_name:
            arguments[self.context_name] = context
        return arguments


class Source(Protocol):
    """A source of further functions, which may appear and disappear while the process runs."""

    def names(self, wait: bool) -> Iterable[str]:
        """Return the known names. With `wait`, wait some seconds for names that must be requested elsewhere."""

    def find(self, name: str) -> TaskFunction | None:
        """Return the function, or None if the name does not belong to this source.

        Raises UnknownFunction if the name belongs to this source and there is no such function.
        """

    def gaps(self) -> str:
        """Return which names may be missing now and why, or an empty string."""


_functions: dict[str, TaskFunction] = {}
_errors: list[str] = []
_sources: list[Source] = []


def task_function(
    name: str | None = None,
    *,
    example: dict | None = None,
    scope: str = "",
    personal: bool = False,
    unavailable: Callable[[], str] = lambda: "",
    delegate: Callable[[dict], tuple[str, dict]] | None = None,
) -> Callable[[Callable], Callable]:
    """Register a function as a task function.

    Its parameters, with their type hints, are the task's parameters; or its first parameter is a pydantic model. A
    parameter annotated with TaskContext receives the context. `async def` runs on the worker's event loop, `def` in a
    child process that can be killed.

    A name that is taken, or a signature that cannot be called by name, is not registered; the system check reports it
    (`registration_errors`).
    """

    def register(call: Callable) -> Callable:
        title = name or call.__name__
        try:
            _require_free_name(title, call)
            signature = signature_of(title, call)
        except Exception as error:  # includes any error that type hints and pydantic raise
            _errors.append(f"The task function {title!r} of {call.__module__} cannot be used: {error}")
            return call
        doc = inspect.cleandoc(call.__doc__ or "")
        _functions[title] = TaskFunction(
            name=title,
            call=call,
            parameters=signature.parameters,
            is_async=inspect.iscoroutinefunction(call),
            model_name=signature.model_name,
            context_name=signature.context_name,
            summary=doc.split("\n")[0],
            doc=doc,
            built_in=call.__module__.startswith(PACKAGE + "."),
            example=example or {},
            scope=scope,
            personal=personal,
            unavailable=unavailable,
            delegate=delegate,
        )
        return call

    return register


def _require_free_name(name: str, call: Callable) -> None:
    known = _functions.get(name)
    if known is not None and known.call.__module__ != call.__module__:
        raise ValueError(f"one of that name exists in {known.call.__module__}. Give it another name.")


def add_source(source: Source) -> None:
    """Add a source of functions that are not registered."""
    _sources.append(source)


def registration_errors() -> list[str]:
    """Return why functions could not be registered, a sentence each."""
    return list(_errors)


def names(wait: bool = False) -> list[str]:
    """Return the names of all task functions, sorted. With `wait`, wait some seconds for slow sources."""
    return sorted({*_functions, *(name for source in _sources for name in source.names(wait))})


def has_plain_functions() -> bool:
    """Return whether apps of this site registered functions that run in child processes."""
    return any(not function.is_async and not function.built_in for function in _functions.values())


def lookup(name: str) -> TaskFunction:
    """Return the task function of that name. Raises UnknownFunction, naming similar or all functions."""
    if name in _functions:
        return _functions[name]
    for source in _sources:
        if found := source.find(name):
            return found
    known = names()
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}."
    gaps = "".join(f" {gap}" for source in _sources if (gap := source.gaps()))
    raise UnknownFunction(f"There is no function {name!r}: {hint}{gaps}", retryable=False)


def resolve(name: str, params: dict) -> tuple[TaskFunction, dict]:
    """Return the function that runs after all delegations, and its parameters. Raises UnknownFunction."""
    function = lookup(name)
    if function.delegate is None:
        return function, params
    return resolve(*function.delegate(params))


def autodiscover() -> None:
    """Import every function file of this package and the `batch_functions` module of every installed app."""
    import_submodules(PACKAGE)
    autodiscover_modules("batch_functions")


@contextmanager
def temporary_registrations() -> Iterator[None]:
    """Undo at the end of the block what was registered in it. For tests."""
    functions, errors = dict(_functions), list(_errors)
    try:
        yield
    finally:
        _functions.clear()
        _functions.update(functions)
        _errors[:] = errors
