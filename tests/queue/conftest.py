"""Every test of the queue ends with an audit of every batch."""

import pytest

from executor.models import Batch
from tests.support.batches import assert_consistent


@pytest.fixture(autouse=True)
def _balanced(db):
    yield
    for batch_id in Batch.objects.values_list("pk", flat=True):
        assert_consistent(batch_id)
