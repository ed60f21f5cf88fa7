"""`manage.py chaos`: a minute of everything at once on a temporary installation, and every promise is kept."""

import json
import os

import pytest

from executor.testbed.chaos.load import KINDS, MUST_COMPLETE
from executor.testbed.invariants import PROMISES
from tests.support.processes import manage


@pytest.fixture
def environment(tmp_path):
    return {**os.environ, "BATCH_DATA": str(tmp_path / "mine")}


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_every_promise_is_kept_while_everything_goes_wrong(environment, database):
    done = manage("chaos", "--minutes", "1", "--database", database, "--json", env=environment, timeout=400)
    assert done.returncode == 0, done.stderr
    verdict = json.loads(done.stdout)
    assert not verdict["breaches"] and len(verdict["promises"]) == len(PROMISES)
    # It proves something only if much has happened.
    outcomes = verdict["outcomes"]
    assert outcomes["tasks"] > 200 and outcomes["completed"] > 100 and outcomes["failed"] and not outcomes["not_over"]
    assert outcomes["attempts"] > outcomes["tasks"] and outcomes["frames"] > 100
    assert sum(count for name, count in verdict["done"].items() if "worker" in name) >= 2
    assert f"--seed {verdict['seed']}" in done.stderr


def test_nonsense_is_refused_in_words(environment):
    done = manage("chaos", "--minutes", "0", env=environment)
    assert done.returncode == 2 and "--minutes must be" in done.stderr


def test_every_kind_that_must_complete_is_one_that_comes():
    assert set(MUST_COMPLETE) < set(KINDS)
