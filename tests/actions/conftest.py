"""Actions as callers execute them; an audit of every batch follows each test."""

import pytest

from executor.access import Caller, caller_of_shell
from executor.actions import BatchExecutor
from executor.models import Batch
from tests.support.batches import assert_consistent


@pytest.fixture(autouse=True)
def _audited(db):
    yield
    for batch_id in Batch.objects.values_list("pk", flat=True):
        assert_consistent(batch_id)


@pytest.fixture
def execute(db):
    """Return `execute("add", function="ok")` for a caller with all scopes."""
    return BatchExecutor(caller_of_shell()).execute


@pytest.fixture
def execute_as():
    """Return `execute_as("user:2", "read")("status")`, which calls with the given scopes."""

    def as_caller(key: str, *scopes: str):
        return BatchExecutor(Caller(key, key.replace(":", " "), frozenset(scopes))).execute

    return as_caller
