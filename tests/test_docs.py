"""Tests of the documentation: completeness, links, named files, and the form of some pages."""

import re
import sys
import types
from pathlib import Path

import pytest

from executor.actions import ACTIONS
from executor.domain.task_item import TaskItem
from executor.functions import lookup, names
from executor.processes.layout import PROJECT

DOCS = PROJECT / "docs"
PAGES = sorted([*PROJECT.glob("*.md"), *DOCS.rglob("*.md")])
BUILT_IN = [name for name in names() if lookup(name).built_in]
DECISIONS = sorted((DOCS / "decisions").glob("[0-9]*.md"))
EXAMPLE = DOCS / "example_app" / "batch_functions.py"


def section(page: str, heading: str) -> str:
    """Return the text under a second-level heading."""
    text = (DOCS / page).read_text()
    found = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", text, re.M | re.S)
    assert found, f"docs/{page} has no heading `## {heading}`"
    return found[1]


def documented(text: str) -> set[str]:
    """Return the names in the first column of the tables of a text."""
    return {name for row in re.findall(r"^\| (`[^|]*) \|", text, re.M) for name in re.findall(r"`([^`]+)`", row)}


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_each_action_is_documented_with_its_parameters_and_an_example(name: str) -> None:
    text = section("actions.md", name)
    assert documented(text) == set(ACTIONS[name].parameters.model_fields)
    assert f"$SITE/api/{name}" in text


def test_the_fields_of_a_task_are_documented_with_add() -> None:
    assert set(TaskItem.model_fields) <= documented(section("actions.md", "add"))


@pytest.mark.parametrize("name", BUILT_IN)
def test_each_built_in_function_is_documented_with_its_parameters(name: str) -> None:
    fields = lookup(name).parameters.model_fields
    assert documented(section("functions.md", name)) == {field.alias or key for key, field in fields.items()}


def test_each_setting_is_documented() -> None:
    settings = (PROJECT / "batchsite" / "settings.py").read_text()
    known = set(re.findall(r"\bBATCH_[A-Z_]+|\b(?:DATABASE_URL|REDIS_URL|SECRET_KEY)\b", settings))
    text = (DOCS / "configuration.md").read_text()
    missing = sorted(name for name in known if f"`{name}`" not in text)
    assert not missing


def test_each_documented_setting_exists() -> None:
    readers = [PROJECT / "batchsite" / "settings.py", PROJECT / "tests" / "conftest.py"]
    known = "".join(path.read_text() for path in readers)
    documented_names = {name for page in PAGES for name in re.findall(r"\bBATCH_[A-Z_]+\b", page.read_text())}
    assert not sorted(name for name in documented_names if name not in known)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_relative_links_resolve(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert not broken


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings: lower case, no punctuation, hyphens for spaces."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# A path in backticks: from the root, or from `executor/` as in the architecture's tables.
_NAMED_FILE = re.compile(r"`((?:executor|tests|docs|batchsite|templates|static)/[\w./-]+|\w+/[\w/]+\.py)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_named_files_exist(page: Path) -> None:
    roots = (PROJECT, PROJECT / "executor")
    names = _NAMED_FILE.findall(page.read_text())
    assert not [name for name in names if not any((root / name).exists() for root in roots)]


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.name)
def test_each_decision_has_its_three_parts(page: Path) -> None:
    text = page.read_text()
    assert text.startswith(f"# {page.name[:3]}. ")
    assert re.findall(r"^## (.+)$", text, re.M) == ["Context", "Decision", "Measured consequence"]


def test_decisions_are_numbered_and_listed() -> None:
    assert [page.name[:3] for page in DECISIONS] == [f"{number:03}" for number in range(1, len(DECISIONS) + 1)]
    index = (DOCS / "decisions" / "README.md").read_text()
    assert re.findall(r"\((\d{3}-[\w-]+\.md)\)", index) == [page.name for page in DECISIONS]


def test_glossary_has_one_line_a_term_in_order() -> None:
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", (DOCS / "glossary.md").read_text(), re.M)
    terms = [term for term, _ in rows[1:]]  # without the table's head
    assert len(terms) >= 20
    assert terms == sorted(terms)
    assert all(len(meaning) <= 160 for _, meaning in rows)


def test_example_of_an_action_works_as_written(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (PROJECT / "CONTRIBUTING.md").read_text()
    [code] = re.findall(r'^```python\n("""describe: .*?)^```', text, re.M | re.S)
    module = types.ModuleType("executor.actions.describe")
    module.__package__ = "executor.actions"
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(ACTIONS, "describe", None)  # the entry that the module adds is removed after the test
    exec(compile(code, "CONTRIBUTING.md", "exec"), module.__dict__)
    assert set(ACTIONS["describe"].parameters.model_fields) == {"batch", "metadata"}
    assert ACTIONS["describe"].summary == "Set the metadata of a batch."


def test_code_in_the_guide_equals_the_example_app() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (DOCS / "task-functions.md").read_text(), re.M | re.S)
    assert len(blocks) >= 4
    code = EXAMPLE.read_text()
    assert not [block for block in blocks if block not in code]
