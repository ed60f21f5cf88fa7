"""Filters: Python-like conditions over metadata, compiled from a few harmless kinds of syntax nodes.

Nothing is executed except the functions of this module.

    area == "main" and year >= 2020
    "draft" not in tags and source.endswith(".md")
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

MAX_LENGTH = 2000
MAX_DEPTH = 30

Compiled = Callable[[Mapping[str, Any]], Any]

# Errors of a comparison or call that does not apply to the metadata's types.
_NOT_APPLICABLE = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)


class BadExpression(ValueError):
    """The text is not an allowed expression; the message is the reason."""


class Filter:
    """A condition over metadata.

    A missing name is None. A comparison that does not apply, of text with a number, does not match.
    """

    def __init__(self, text: str):
        """Compile the condition. Raises BadExpression."""
        if len(text) > MAX_LENGTH:
            raise BadExpression(f"the filter is longer than {MAX_LENGTH} characters")
        try:
            tree = ast.parse(text.strip(), mode="eval")
        except SyntaxError as error:
            raise BadExpression(f"the filter is not an expression: {error.msg} (column {error.offset})") from None
        except (ValueError, RecursionError, MemoryError):
            raise BadExpression("the filter is not an expression") from None
        self.text = text
        self._matches = _compiled(tree.body, 0)

    def matches(self, metadata: Mapping[str, Any]) -> bool:
        """Return whether the condition holds."""
        try:
            return bool(self._matches(metadata))
        except _NOT_APPLICABLE:
            return False


_COMPARISONS = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}
# Constants of JSON, which agents write as well as Python's.
_CONSTANTS = {"true": True, "false": False, "null": None}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _number(value: Any) -> float:
    return float(value) if isinstance(value, str | int | float) else _refuse()


def _refuse() -> float:
    raise TypeError("not a number")


_FUNCTIONS: dict[str, Callable] = {
    "lower": lambda text: _text(text).lower(),
    "upper": lambda text: _text(text).upper(),
    "len": len,
    "str": lambda value: value if isinstance(value, str) else repr(value)[:MAX_LENGTH],
    "int": lambda value: int(_number(value)),
    "float": _number,
}
_METHODS: dict[str, Callable] = {
    "lower": _FUNCTIONS["lower"],
    "upper": _FUNCTIONS["upper"],
    "strip": lambda text: _text(text).strip(),
    "startswith": lambda text, start: _text(text).startswith(_text(start)),
    "endswith": lambda text, end: _text(text).endswith(_text(end)),
    "get": lambda value, key: value.get(key) if isinstance(value, dict) else None,
}
_ARGUMENTS = {"startswith": 1, "endswith": 1, "get": 1}


def _compiled(node: ast.AST, depth: int) -> Compiled:
    if depth > MAX_DEPTH:
        raise BadExpression("the filter is nested too deeply")
    build = _NODES.get(type(node))
    if build is None:
        raise BadExpression(
            f"a filter cannot contain {_quoted(node)!r}: it may compare names and values, with and, or, not, in"
        )
    return build(node, depth + 1)


def _quoted(node: ast.AST) -> str:
    try:
        return ast.unparse(node)[:60]
    except RecursionError:
        return "something deeply nested"


def _constant(node: ast.Constant, depth: int) -> Compiled:
    value = node.value
    if not isinstance(value, str | int | float | bool | None):
        raise BadExpression(f"a filter cannot contain {_quoted(node)!r}")
    return lambda metadata: value


def _name(node: ast.Name, depth: int) -> Compiled:
    name = node.id
    if name in _CONSTANTS:
        constant = _CONSTANTS[name]
        return lambda metadata: metadata.get(name, constant)
    return lambda metadata: metadata.get(name)


def _attribute(node: ast.Attribute, depth: int) -> Compiled:
    """Compile `author.name`: the key of a nested object."""
    of, key = _compiled(node.value, depth), node.attr
    if key.startswith("_"):
        raise BadExpression(f"a filter cannot use {key!r}")
    return lambda metadata: value.get(key) if isinstance(value := of(metadata), dict) else None


def _subscript(node: ast.Subscript, depth: int) -> Compiled:
    if isinstance(node.slice, ast.Slice):
        raise BadExpression("a filter cannot contain a slice")
    of, key = _compiled(node.value, depth), _compiled(node.slice, depth)
    return lambda metadata: of(metadata)[key(metadata)]


def _bool_op(node: ast.BoolOp, depth: int) -> Compiled:
    parts = [_compiled(value, depth) for value in node.values]
    if isinstance(node.op, ast.And):
        return lambda metadata: all(_holds(part, metadata) for part in parts)
    return lambda metadata: any(_holds(part, metadata) for part in parts)


def _holds(part: Compiled, metadata: Mapping[str, Any]) -> bool:
    """Return whether a part holds. One that does not apply does not; other parts of an `or` still may."""
    try:
        return bool(part(metadata))
    except _NOT_APPLICABLE:
        return False


def _unary(node: ast.UnaryOp, depth: int) -> Compiled:
    part = _compiled(node.operand, depth)
    if isinstance(node.op, ast.Not):
        return lambda metadata: not _holds(part, metadata)
    if isinstance(node.op, ast.USub):
        return lambda metadata: -part(metadata)
    raise BadExpression(f"a filter cannot contain {_quoted(node)!r}")


def _compare(node: ast.Compare, depth: int) -> Compiled:
    values = [_compiled(value, depth) for value in (node.left, *node.comparators)]
    tests = [_COMPARISONS[type(each)] for each in node.ops]

    def compare(metadata: Mapping[str, Any]) -> bool:
        left = values[0](metadata)
        for test, value in zip(tests, values[1:], strict=True):
            right = value(metadata)
            if not test(left, right):
                return False
            left = right
        return True

    return compare


def _list(node: ast.List | ast.Tuple | ast.Set, depth: int) -> Compiled:
    parts = [_compiled(value, depth) for value in node.elts]
    return lambda metadata: [part(metadata) for part in parts]


def _call(node: ast.Call, depth: int) -> Compiled:
    arguments = [_compiled(value, depth) for value in node.args]
    if isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS:
        call, arity = _FUNCTIONS[node.func.id], 1
    elif isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS:
        call, arity = _METHODS[node.func.attr], _ARGUMENTS.get(node.func.attr, 0) + 1
        arguments.insert(0, _compiled(node.func.value, depth))
    else:
        known = ", ".join([*_FUNCTIONS, *(f".{name}" for name in _METHODS)])
        raise BadExpression(f"a filter cannot call {_quoted(node.func)!r}; it may call {known}")
    if node.keywords or len(arguments) != arity:
        raise BadExpression(f"wrong arguments in {_quoted(node)!r}")
    return lambda metadata: call(*(argument(metadata) for argument in arguments))


_NODES: dict[type[ast.AST], Callable[[Any, int], Compiled]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.Subscript: _subscript,
    ast.BoolOp: _bool_op,
    ast.UnaryOp: _unary,
    ast.Compare: _compare,
    ast.List: _list,
    ast.Tuple: _list,
    ast.Set: _list,
    ast.Call: _call,
}
