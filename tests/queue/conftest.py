"""After every test of the queue, the books of every batch must balance."""

import pytest

from executor.models import Batch
from tests.queue.books import assert_books_balance


@pytest.fixture(autouse=True)
def _balanced(db):
    yield
    for batch_id in Batch.objects.values_list("pk", flat=True):
        assert_books_balance(batch_id)
