"""The suites that depend on the database most, once more on a real PostgreSQL.

`BATCH_TEST_DATABASE=postgresql python -m pytest` runs everything there; then this file is left out.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from executor.processes.layout import PROJECT

SUITES = [
    "tests/queue",
    "tests/faults",
    "tests/process/test_cost.py",
    "tests/web/test_access.py",
    "tests/web/test_health.py",
]
TIMEOUT = 600


@pytest.mark.parametrize("suite", SUITES)
def test_suite_passes_on_postgresql(suite):
    assert (Path(PROJECT) / suite).exists(), f"{suite} is gone: name another suite here"
    ours = ("DATABASE_URL", "REDIS_URL", "BATCH_DATA", "DJANGO_SETTINGS_MODULE", "PYTEST_CURRENT_TEST")
    environment = {name: value for name, value in os.environ.items() if name not in ours and "XDIST" not in name}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--tb=short", suite],
        cwd=PROJECT,
        env={**environment, "BATCH_TEST_DATABASE": "postgresql"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
    )
    if run.returncode:
        pytest.fail(f"{suite} fails on PostgreSQL:\n{run.stdout[-12_000:]}", pytrace=False)
