"""The registry of task functions, and how parameters are checked before anything is stored."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol, get_type_hints

from django.utils.module_loading import autodiscover_modules
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from executor.domain import secrets
from executor.domain.discovery import import_submodules
from executor.domain.errors import UnknownFunction

from .context import TaskContext


@dataclass(frozen=True, slots=True)
class TaskFunction:
    """A registered task function.

    `parameters` is its pydantic model. `scope` names the scope that a caller needs beyond `submit`. A `personal` one
    works with what belongs to the batch's owner, who alone may call it there. `unavailable` returns why it cannot run
    here, or an empty string. `delegate` turns parameters into (name, parameters) of the function that really runs.
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
        """The keyword arguments of one call.

        Raises pydantic's ValidationError.
        """
        model = self.parameters.model_validate(params)
        if self.model_name:
            arguments: dict[str, Any] = {self.model_name: model}
        else:
            arguments = {name: getattr(model, name) for name in type(model).model_fields}
        if self.context_name:
            arguments[self.context_name] = context
        return arguments


class Source(Protocol):
    """Knows further functions, which come and go while the process runs."""

    def names(self, patient: bool) -> Iterable[str]:
        """Those that are known; who is `patient` waits some seconds for those that have to be asked for."""

    def find(self, name: str) -> TaskFunction | None:
        """The function of that name, or None when it is not for this source to say.

        Raises UnknownFunction when it is, and there is none.
        """

    def gaps(self) -> str:
        """Which names may be missing now, and why; empty when none are."""


BAD_SECRET = 'a secret is {"$secret": "NAME"} and nothing else; a name is letters, digits and _'

_functions: dict[str, TaskFunction] = {}
_faults: list[str] = []
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

    Its parameters, with their type hints, are the task's parameters; or its first parameter is a pydantic model that
    says more. A parameter annotated with TaskContext gets the context. `async def` runs on the worker's event loop;
    `def` runs in a child process that can be killed.

    A name that is taken, or a signature that cannot be called with named parameters, is refused: the function is not
    registered, and the system check (`faults`) says why.
    """

    def register(call: Callable) -> Callable:
        title = name or call.__name__
        try:
            parameters, model_name, context_name = _checked(title, call)
        except Exception as error:  # also what type hints and pydantic raise for a hint that means nothing
            _faults.append(f"The task function {title!r} of {call.__module__} cannot be used: {error}")
            return call
        doc = inspect.cleandoc(call.__doc__ or "")
        _functions[title] = TaskFunction(
            name=title,
            call=call,
            parameters=parameters,
            is_async=inspect.iscoroutinefunction(call),
            model_name=model_name,
            context_name=context_name,
            summary=doc.split("\n")[0],
            doc=doc,
            built_in=call.__module__.startswith(__package__ + "."),
            example=example or {},
            scope=scope,
            personal=personal,
            unavailable=unavailable,
            delegate=delegate,
        )
        return call

    return register


def _checked(title: str, call: Callable) -> tuple[type[BaseModel], str | None, str | None]:
    known = _functions.get(title)
    if known is not None and known.call.__module__ != call.__module__:
        raise ValueError(f"one of that name exists in {known.call.__module__}. Give it another name.")
    return _parameters_of(title, call)


def _parameters_of(title: str, call: Callable) -> tuple[type[BaseModel], str | None, str | None]:
    hints = get_type_hints(call)
    fields: dict[str, Any] = {}
    context_name = None
    for position, (name, parameter) in enumerate(inspect.signature(call).parameters.items()):
        hint = hints.get(name, Any)
        if hint is TaskContext:
            context_name = name
        elif position == 0 and isinstance(hint, type) and issubclass(hint, BaseModel):
            fields[name] = hint
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ValueError(f"parameter {name!r} must be one that can be named; write no *, ** or / around it.")
        else:
            fields[name] = (hint, ... if parameter.default is parameter.empty else parameter.default)
    if len(fields) == 1 and isinstance(model := next(iter(fields.values())), type):
        return model, next(iter(fields)), context_name
    return create_model(title, __config__=ConfigDict(extra="forbid"), **fields), None, context_name


def add_source(source: Source) -> None:
    """Ask this source for functions that are not registered."""
    _sources.append(source)


def faults() -> list[str]:
    """Why functions were not registered, a sentence each."""
    return list(_faults)


def names(patient: bool = False) -> list[str]:
    """The names of all task functions, sorted. Who is `patient` waits some seconds for sources that are slow."""
    return sorted({*_functions, *(name for source in _sources for name in source.names(patient))})


def any_plain() -> bool:
    """Whether apps of this site brought functions that run in child processes."""
    return any(not function.is_async and not function.built_in for function in _functions.values())


def lookup(name: str) -> TaskFunction:
    """The task function of that name.

    Raises UnknownFunction, naming what exists.
    """
    if name in _functions:
        return _functions[name]
    for source in _sources:
        if found := source.find(name):
            return found
    known = names()
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}."
    gaps = "".join(f" {told}" for source in _sources if (told := source.gaps()))
    raise UnknownFunction(f"There is no function {name!r}: {hint}{gaps}", retryable=False)


def resolve(name: str, params: dict) -> tuple[TaskFunction, dict]:
    """The function that really runs, and its parameters.

    Raises UnknownFunction.
    """
    function = lookup(name)
    if function.delegate is None:
        return function, params
    return resolve(*function.delegate(params))


def validate(name: str, params: dict) -> list[tuple[str, str]]:
    """What is wrong with these parameters: (field, reason) pairs; empty when nothing is."""
    try:
        function = lookup(name)
        problems = _problems(function, params)
        if function.delegate is not None and not problems:
            function, inner = resolve(name, params)
            problems = _problems(function, inner)
    except UnknownFunction as error:
        return [("function", error.message)]
    if not problems and (reason := function.unavailable()):
        problems = [("function", reason)]
    return problems


def _problems(function: TaskFunction, params: dict) -> list[tuple[str, str]]:
    """What is wrong, as far as it can be known: the value of a secret is known to the worker alone."""
    hidden = dict(secrets.find_secrets(params))
    problems = [(_place(path), BAD_SECRET) for path, name in hidden.items() if not secrets.is_secret_name(name)]
    try:
        function.parameters.model_validate(params)
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            place = problem["loc"]
            if not any(place[: len(path)] == path for path in hidden):
                problems.append((_place(place), _reason(problem, function)))
    return problems


def _place(location: tuple) -> str:
    return ".".join(["params", *map(str, location)])


def _reason(problem: dict, function: TaskFunction) -> str:
    if problem["type"] != "extra_forbidden":
        return problem["msg"].removeprefix("Value error, ")
    known = ", ".join(field.alias or name for name, field in function.parameters.model_fields.items()) or "none"
    return f"unknown parameter; {function.name} takes: {known}"


def autodiscover() -> None:
    """Import every function file of this package and the `batch_functions` module of every installed app."""
    import_submodules(__package__)
    autodiscover_modules("batch_functions")
