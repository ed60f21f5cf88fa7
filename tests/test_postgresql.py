"""The suites that depend on the database most, once more on a real PostgreSQL.

`BATCH_TEST_DATABASE=postgresql python -m pytest` runs everything there; then this file is left out.
"""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from executor.processes.layout import PROJECT

SUITES = [
    "tests/queue",
    "tests/faults",
    "tests/process/test_cost.py",
    "tests/web/test_access.py",
    "tests/web/test_health.py",
]
TIMEOUT = 2400  # seconds for one suite on a slow machine
SQLITE_ONLY = "tests/queue/test_write_lock.py"
REPORTED = 10  # failures with their traceback; the others by name alone
TRACEBACK = 30  # lines of each
OUTPUT = 4000  # characters of pytest's own output where it left no report

OWN = ("DATABASE_URL", "REDIS_URL", "BATCH_DATA", "DJANGO_SETTINGS_MODULE", "PYTEST_CURRENT_TEST")


@pytest.mark.parametrize("suite", SUITES)
def test_suite_passes_on_postgresql(suite: str, tmp_path: Path) -> None:
    assert (PROJECT / suite).exists(), f"{suite} does not exist: correct SUITES"
    report = tmp_path / "report.xml"
    code, output = _run(suite, report)
    if code:
        pytest.fail(_summary(suite, code, output, report), pytrace=False)


def _run(suite: str, report: Path) -> tuple[int, str]:
    environment = {name: value for name, value in os.environ.items() if name not in OWN and "XDIST" not in name}
    arguments = ["-p", "no:cacheprovider", "-v", "--tb=short", f"--junitxml={report}", suite, f"--ignore={SQLITE_ONLY}"]
    try:
        run = subprocess.run(
            [sys.executable, "-m", "pytest", *arguments],
            cwd=PROJECT,
            env={**environment, "BATCH_TEST_DATABASE": "postgresql"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired as expired:
        output = expired.stdout or b""  # bytes, in spite of `text`
        return -1, f"{output.decode(errors='replace')}\nstopped after {TIMEOUT} s"
    return run.returncode, run.stdout


def _summary(suite: str, code: int, output: str, report: Path) -> str:
    """Return the names of the failed tests with short tracebacks, or the end of the output if there is no report."""
    failed = _failed(report) if report.exists() else []
    if not failed:
        return f"{suite} on PostgreSQL: pytest ended with code {code}:\n{output[-OUTPUT:]}"
    lines = [f"{suite} on PostgreSQL: {len(failed)} failed"]
    for name, text in failed[:REPORTED]:
        lines += [f"--- {name}", *text.strip().splitlines()[-TRACEBACK:]]
    return "\n".join([*lines, *(f"--- {name}" for name, _ in failed[REPORTED:])])


def _failed(report: Path) -> list[tuple[str, str]]:
    """Return the id and the traceback of each failed test in a JUnit report."""
    return [
        (f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}", problem.text or "")
        for case in ElementTree.parse(report).iter("testcase")
        for problem in [*case.findall("failure"), *case.findall("error")]
    ]


def test_a_summary_names_each_failed_test_and_shortens_its_traceback(tmp_path: Path) -> None:
    traceback = "\n".join(f"line {number}" for number in range(100))
    case = f'<testcase classname="tests.queue.test_moves" name="test_claim"><failure>{traceback}</failure></testcase>'
    report = tmp_path / "report.xml"
    report.write_text(f"<testsuites><testsuite>{case}</testsuite></testsuites>")
    lines = _summary("tests/queue", 1, "", report).splitlines()
    assert lines[:2] == ["tests/queue on PostgreSQL: 1 failed", "--- tests/queue/test_moves.py::test_claim"]
    assert lines[2:] == [f"line {number}" for number in range(70, 100)]


def test_a_summary_without_a_report_is_the_end_of_the_output(tmp_path: Path) -> None:
    assert _summary("tests/queue", 4, "x" * 9000 + "no such file", tmp_path / "none").endswith("xno such file")
