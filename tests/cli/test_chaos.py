"""`manage.py chaos`: all invariants hold after a minute of random faults."""

import json
import os

import pytest

from executor.testbed.auditor import INVARIANTS
from executor.testbed.chaos.load import KINDS, MUST_COMPLETE
from tests.support.processes import manage


@pytest.fixture
def environment(tmp_path):
    return {**os.environ, "BATCH_DATA": str(tmp_path / "mine")}


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_invariants_hold_under_faults(environment, database):
    done = manage("chaos", "--minutes", "1", "--database", database, "--json", env=environment, timeout=400)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert not report["breaches"] and len(report["promises"]) == len(INVARIANTS)
    # The run proves something only if much has happened.
    outcomes = report["outcomes"]
    assert outcomes["tasks"] > 200 and outcomes["completed"] > 100 and outcomes["failed"] and not outcomes["not_over"]
    assert outcomes["attempts"] > outcomes["tasks"] and outcomes["frames"] > 100
    assert sum(count for name, count in report["done"].items() if "worker" in name) >= 2
    assert f"--seed {report['seed']}" in done.stderr


def test_invalid_minutes_are_rejected(environment):
    done = manage("chaos", "--minutes", "0", env=environment)
    assert done.returncode == 2 and "--minutes must be" in done.stderr


def test_kinds_that_must_complete_are_part_of_the_load():
    assert set(MUST_COMPLETE) < set(KINDS)
