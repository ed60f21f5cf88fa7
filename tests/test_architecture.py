"""Rules of the structure: order of imports, one writer of status, one interface to RQ.

Planted violations check that each rule finds something.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from executor.domain.states import BatchState, TaskStatus
from executor.processes.layout import PROJECT

_ROW = re.compile(r"^\| `(\w+)(?:/|\.py)` \|", re.MULTILINE)
_DOCUMENT = (PROJECT / "docs" / "architecture.md").read_text()
# A package may import the packages above it in the document's list.
ORDER = _ROW.findall(_DOCUMENT.partition("## Packages of `executor/`")[2])

# The packages that task functions may import: errors, types of parameters, and the services they expose.
FUNCTIONS_MAY_IMPORT = {"functions", "domain", "storage", "knowledge", "sandbox", "agents"}
MAY_IMPORT_RQ = {"broker", "worker"}
USES_TESTBED = {("management", "commands", name) for name in ("benchmark", "chaos")}
MEANINGLESS_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "tools"}

FILES = {
    path.relative_to(PROJECT / "executor").with_suffix("").parts: path.read_text()
    for path in sorted((PROJECT / "executor").rglob("*.py"))
    if "migrations" not in path.parts and path != PROJECT / "executor" / "__init__.py"
}
STATUSES = {*TaskStatus.values, *BatchState.values}


# --- checks of one file ------------------------------------------------------------------------------------------


@cache
def _parsed(source: str) -> ast.Module:
    return ast.parse(source)


def imported(parts: tuple[str, ...], source: str) -> Iterator[str]:
    """Yield the full names of the imports of a file, also within functions."""
    package = ("executor", *parts[:-1])
    for node in ast.walk(_parsed(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def neighbours(parts: tuple[str, ...], source: str) -> set[str]:
    """Return the other packages of the app that a file imports."""
    found = {name.split(".")[1] for name in imported(parts, source) if name.startswith("executor.")}
    return found - {parts[0]}


def upward(parts: tuple[str, ...], source: str) -> set[str]:
    """Return the imports of packages below in the table, or outside it."""
    own = ORDER.index(parts[0])
    return {module for module in neighbours(parts, source) if module not in ORDER or ORDER.index(module) > own}


def uses_testbed(parts: tuple[str, ...], source: str) -> bool:
    """Return whether a file of the product imports the test bed."""
    return parts[0] != "testbed" and "testbed" in neighbours(parts, source)


def moves(parts: tuple[str, ...], source: str) -> list[str]:
    """Yield the places where a file sets the status of a task or the state of a batch, or creates or deletes tasks."""
    found = []
    for node in ast.walk(_parsed(source)):
        match node:
            case ast.Call(func=called):
                moved = _call_moves(ast.unparse(called), node)
            case ast.Assign(value=value):
                moved = any(_assignment_moves(place, value) for place in _places(node))
            case ast.Constant(value=str(text)):
                moved = _STATEMENT.search(text)
            case ast.JoinedStr():
                moved = _TEMPLATE.search(ast.unparse(node))
            case _:
                continue
        if moved:
            found.append(node.value if isinstance(node, ast.Constant) else ast.unparse(node))
    return found


_MAKES_TASKS = re.compile(r"\bBatchTask(\.objects\.(bulk_)?(create|update|update_or_create|get_or_create))?$")
_STATEMENT = re.compile(r"\b(UPDATE|INSERT INTO|DELETE FROM)\s+\"?executor_batch(task)?\b")
_TEMPLATE = re.compile(r"\b(UPDATE|INSERT INTO|DELETE FROM) \{")


def _call_moves(name: str, call: ast.Call) -> bool:
    if _MAKES_TASKS.search(name) or name in ("insert_rows", "dialect.insert_rows"):
        return True
    if not name.endswith(".update"):
        return False
    for keyword in call.keywords:
        value = ast.unparse(keyword.value)
        if keyword.arg is None and re.search(r"'(status|state)'", value):
            return True
        # Workers have a state too, which the queue does not own.
        if keyword.arg == "status" or (keyword.arg == "state" and not value.startswith("WorkerNode.")):
            return True
    return False


def _places(node: ast.Assign) -> Iterator[ast.expr]:
    for target in node.targets:
        yield from target.elts if isinstance(target, ast.Tuple) else [target]


def _assignment_moves(place: ast.expr, value: ast.expr) -> bool:
    if not (isinstance(place, ast.Attribute) and place.attr in ("status", "state")):
        return False
    owner = ast.unparse(place.value).split(".")[-1]
    known = isinstance(value, ast.Constant) and value.value in STATUSES
    return (
        owner in ("task", "batch", "book", "row")
        or known
        or bool(re.search("TaskStatus|BatchState", ast.unparse(value)))
    )


REFUSALS = {"BadRequest", "NotAllowed", "NotFound", "Conflict", "TooLarge", "ExecutorError"}


def refusals_without_a_fix(source: str) -> list[str]:
    """Return the constructors of errors for callers that have no `fix`."""
    calls = [node for node in ast.walk(_parsed(source)) if isinstance(node, ast.Call) and node.args]
    return [
        ast.unparse(call)
        for call in calls
        if ast.unparse(call.func).split(".")[-1] in REFUSALS and not any(each.arg == "fix" for each in call.keywords)
    ]


# --- the rules -----------------------------------------------------------------------------------------------------


def faults(rule) -> dict[str, object]:
    """Return the findings of a rule per file, without empty ones."""
    return {"/".join(parts): found for parts, source in FILES.items() if (found := rule(parts, source))}


def test_rules_read_the_modules():
    assert len(FILES) > 80 and ("queue", "batch_queue") in FILES and ("worker", "completer") in FILES


def test_every_package_is_in_the_table():
    assert not {parts[0] for parts in FILES} - set(ORDER), "give it a row in docs/architecture.md"


def test_packages_import_only_packages_above_them():
    assert not faults(upward)


def test_every_rejection_has_a_fix():
    assert not faults(lambda parts, source: refusals_without_a_fix(source))


def test_only_the_queue_changes_status():
    # `db.dialect.insert_rows` counts where it is called.
    assert not faults(lambda parts, source: parts[0] not in ("queue", "db") and moves(parts, source))


def test_only_broker_and_worker_import_rq():
    def rq_imports(parts, source):
        return [name for name in imported(parts, source) if name.split(".")[0] in ("rq", "django_rq")]

    assert not faults(lambda parts, source: parts[0] not in MAY_IMPORT_RQ and rq_imports(parts, source))


def test_task_functions_import_few_packages():
    assert not faults(
        lambda parts, source: parts[0] == "functions" and neighbours(parts, source) - FUNCTIONS_MAY_IMPORT
    )  # fmt: skip


def test_only_its_two_commands_import_the_testbed():
    assert not faults(lambda parts, source: uses_testbed(parts, source) and parts not in USES_TESTBED)
    assert {parts for parts, source in FILES.items() if uses_testbed(parts, source)} == USES_TESTBED


def test_modules_have_meaningful_names():
    assert not faults(lambda parts, source: MEANINGLESS_NAMES & set(parts))


def status_words(source: str) -> set[str]:
    """Return the statuses of tasks that a file writes as a string constant."""
    constants = (node.value for node in ast.walk(_parsed(source)) if isinstance(node, ast.Constant))
    return {value for value in constants if isinstance(value, str) and value in TaskStatus.values}


# Files that contain the name of a status, and why. All others read domain/states.py.
WRITES_STATUS_WORDS = {
    "domain/states": "the registry itself",
    "domain/errors": "the kind of an error: an attempt was cancelled",
    "actions/cancel": "the keys of its answer",
    "actions/stop": "the keys of its answer",
    "models/batch": "the condition of an index on batches",
    "models/task": "the conditions of indexes, which migrations have as text",
    "admin/records": "the column `running` of a worker",
    "cli/tables": "the column `running` of a worker",
    "reads/presenters": "the column `running` of a worker",
    "views/workers": "the column `running` of a worker",
}
# Packages with names of statuses: SQL and counters, the kinds of errors, independent checks.
PACKAGES_WITH_STATUS_WORDS = {"queue", "worker", "testbed"}


def test_only_the_registry_lists_statuses():
    written = faults(lambda parts, source: parts[0] not in PACKAGES_WITH_STATUS_WORDS and status_words(source))
    assert written.keys() == WRITES_STATUS_WORDS.keys()


# --- planted violations --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "source"),
    [
        (("broker", "tickets"), "from executor.queue import dispatch"),
        (("domain", "states"), "from executor.queue.dispatch import fill"),
        (("queue", "dispatch"), "import executor.actions.add"),
        (("db", "dialect"), "from ..queue import BatchQueue"),
        (("worker", "run"), "from ..actions import BatchExecutor"),
        (("worker", "run"), "from executor.unheard_of import x"),
        (("models", "task"), "def later():\n    from executor.queue.batch_queue import BatchQueue"),
    ],
)
def test_upward_imports_are_found(parts, source):
    assert upward(parts, source)


@pytest.mark.parametrize(
    "source", ["from . import task", "from .task import BatchTask", "from executor.domain.states import FINAL"]
)
def test_downward_imports_are_allowed(source):
    assert not upward(("models", "batch"), source)


@pytest.mark.parametrize(
    "source",
    [
        "tasks.update(status='failed')",
        "Batch.objects.filter(pk=1).update(name='x', state=BatchState.STOPPED)",
        "rows.update(**{'status': 'queued'})",
        "BatchTask.objects.create(number=1)",
        "rows.append(BatchTask(number=1))",
        "insert_rows('executor_batchtask', columns, rows)",
        "task.status = new",
        "self.task.status = new",
        "batch.state, other = 'x', 1",
        "found.status = TaskStatus.FAILED",
        "it.state = 'stopped'",
        "cursor.execute('UPDATE executor_batchtask SET attempt = 0')",
        "cursor.execute('DELETE FROM executor_batchtask')",
        "cursor.execute('UPDATE \"executor_batch\" SET state = 1')",
        "cursor.execute(f'UPDATE {table} SET status = 1')",
    ],
)
def test_status_changes_are_found(source):
    assert moves(("views",), source)


@pytest.mark.parametrize(
    "source",
    [
        "nodes.update(state=WorkerNode.State.DEAD)",
        "problem.status = 415",
        "self.state = state",
        "tasks.update(priority=3)",
        "tasks.filter(status='failed')",
        "if task.status == 'failed': pass",
        "cursor.execute('SELECT status FROM executor_batchtask')",
        "cursor.execute('UPDATE executor_batchstats SET seq = 1')",
    ],
)
def test_other_updates_are_not_status_changes(source):
    assert not moves(("views",), source)
