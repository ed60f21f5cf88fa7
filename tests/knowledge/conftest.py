"""Documents and callers."""

import pytest

from executor.functions import TaskContext
from executor.knowledge import documents, lexical, vectors


@pytest.fixture(autouse=True)
def _fresh_copies(monkeypatch):
    """Each test has a database of its own to this process, and so its own copy of the vectors and counts."""
    from executor.knowledge import search

    index = vectors.VectorIndex()
    monkeypatch.setattr(vectors, "INDEX", index)
    monkeypatch.setattr(search, "INDEX", index)
    monkeypatch.setattr(lexical, "_counted_at", ())


@pytest.fixture
def add(db):
    """`add("name.md", "text")`: a document in the knowledge base."""

    def make(name: str, text: str | bytes, **how) -> documents.Added:
        data = text if isinstance(text, bytes) else text.encode()
        return documents.add(name, data, **{"owner": "cli", **how})

    return make


@pytest.fixture
def context():
    """`context("user:1", 7)`: what task 7 of this owner knows about itself."""

    def make(owner: str = "user:1", task: int = 1) -> TaskContext:
        return TaskContext(task_id=f"{task:032x}", batch_id="0" * 32, number=task, attempt=1, owner=owner)

    return make
