"""After every test of the queue, the books of every batch must balance."""

import pytest

from executor.models import Batch
from tests.queue.consistency import assert_consistent_batch


@pytest.fixture(autouse=True)
def _balanced(db):
    yield
    for batch_id in Batch.objects.values_list("pk", flat=True):
        assert_consistent_batch(batch_id)
