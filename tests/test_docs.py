"""The documentation names everything that exists, its links lead somewhere, and its example app runs."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from executor.actions import ACTIONS
from executor.actions.task_checks import TaskItem
from executor.functions import lookup, names
from executor.processes.spawning import PROJECT

DOCS = PROJECT / "docs"
PAGES = sorted([*PROJECT.glob("*.md"), *DOCS.rglob("*.md")])
BUILT_IN = [name for name in names() if lookup(name).built_in]
EXAMPLE = DOCS / "example_app" / "batch_functions.py"

# Adds a task for each function of the example app, runs a worker until nothing is left, and prints what came of it.
RUN_EXAMPLE = """
import json, sys
import django
django.setup()
from django.core.management import call_command
from executor.access import caller_of_shell
from executor.actions import BatchExecutor
executor = BatchExecutor(caller_of_shell())
tasks = json.loads(sys.argv[1])
batch = executor.execute("add_batch", tasks=tasks, start=True).data["batch_id"]
call_command("rqworker", "critical", "high", "medium", "low", burst=True)
print(json.dumps(executor.execute("results", batch=batch).data["results"]))
"""


def section(page: str, heading: str) -> str:
    """The text under a heading of the second rank."""
    text = (DOCS / page).read_text()
    found = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", text, re.M | re.S)
    assert found, f"docs/{page} has no heading `## {heading}`"
    return found[1]


def documented(text: str) -> set[str]:
    """The names in the first column of the tables of a text."""
    return {name for row in re.findall(r"^\| (`[^|]*) \|", text, re.M) for name in re.findall(r"`([^`]+)`", row)}


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_each_action_has_a_heading_all_of_its_parameters_and_an_example(name):
    text = section("actions.md", name)
    assert documented(text) == set(ACTIONS[name].parameters.model_fields)
    assert f"$SITE/api/{name}" in text


def test_the_fields_of_a_task_are_those_of_add():
    assert set(TaskItem.model_fields) <= documented(section("actions.md", "add"))


@pytest.mark.parametrize("name", BUILT_IN)
def test_each_built_in_function_has_a_heading_and_all_of_its_parameters(name):
    fields = lookup(name).parameters.model_fields
    assert documented(section("functions.md", name)) == {field.alias or key for key, field in fields.items()}


def test_each_setting_is_documented():
    settings = (PROJECT / "batchsite" / "settings.py").read_text()
    known = set(re.findall(r"\bBATCH_[A-Z_]+|\b(?:DATABASE_URL|REDIS_URL|SECRET_KEY)\b", settings))
    text = (DOCS / "configuration.md").read_text()
    missing = sorted(name for name in known if f"`{name}`" not in text)
    assert not missing


def test_no_setting_is_documented_that_does_not_exist():
    settings = (PROJECT / "batchsite" / "settings.py").read_text()
    told = {name for page in PAGES for name in re.findall(r"\bBATCH_[A-Z_]+\b", page.read_text())}
    assert not sorted(name for name in told if name not in settings)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_relative_links_lead_somewhere(page):
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
    """The anchors of a page's headings, as they are commonly made: small letters, no punctuation, dashes for blanks."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_code_in_the_guide_is_the_code_of_the_example_app():
    blocks = re.findall(r"^```python\n(.*?)^```", (DOCS / "task-functions.md").read_text(), re.M | re.S)
    assert len(blocks) >= 4
    code = EXAMPLE.read_text()
    assert not [block for block in blocks if block not in code]


def test_the_example_app_runs(shared_db, valkey, child_environment, tmp_path):
    tasks = [
        {"function": "count_words", "params": {"text": "a rose is a rose", "top": 2}},
        {"function": "count_primes", "params": {"limit": 2000}},
        {"function": "invoice_total", "params": {"lines": [{"article": "tea", "price": "4.50", "pieces": 2}]}},
        {"function": "post_event", "params": {"url": "http://127.0.0.1:9/", "event": {}}, "max_retries": 0},
    ]
    done = subprocess.run(
        [sys.executable, "-c", RUN_EXAMPLE, json.dumps(tasks)],
        cwd=PROJECT,
        env={**child_environment, "BATCH_APPS": "docs.example_app"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    words, primes, invoice, event = json.loads(done.stdout.splitlines()[-1])
    assert words["result"] == {"words": 5, "top": [["a", 2], ["rose", 2]]}
    assert primes["result"] == 303
    assert invoice["result"] == {"net": "9.00", "gross": "10.71"}
    assert (event["status"], event["error_kind"]) == ("failed", "ConnectError")
