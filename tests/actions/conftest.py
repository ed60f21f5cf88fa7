"""One door for every test here, and books that balance when it is over."""

import pytest

from executor.access import Caller, caller_of_shell
from executor.actions import BatchExecutor
from executor.models import Batch
from tests.support.batches import assert_consistent


@pytest.fixture(autouse=True)
def _balanced(db):
    yield
    for batch_id in Batch.objects.values_list("pk", flat=True):
        assert_consistent(batch_id)


@pytest.fixture
def execute(db):
    """`execute("add", function="ok")` as somebody who may do everything."""
    return BatchExecutor(caller_of_shell()).execute


@pytest.fixture
def execute_as():
    """`execute_as("user:2", "read")("status")`: as a caller with these scopes."""

    def as_caller(key: str, *scopes: str):
        return BatchExecutor(Caller(key, key.replace(":", " "), frozenset(scopes))).execute

    return as_caller
