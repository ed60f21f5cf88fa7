"""Fixtures for documents and the contexts of tasks."""

import pytest

from executor.functions import TaskContext
from executor.knowledge import documents, lexical, vectors


@pytest.fixture(autouse=True)
def _fresh_copies(monkeypatch):
    """Give each test its own copies of the vectors and word counts, as a new process has."""
    from executor.knowledge import search

    index = vectors.VectorIndex()
    monkeypatch.setattr(vectors, "INDEX", index)
    monkeypatch.setattr(search, "INDEX", index)
    monkeypatch.setattr(lexical, "_counted_at", ())


@pytest.fixture
def add(db):
    """Return `add("name.md", "text")`, which adds a document."""

    def make(name: str, text: str | bytes, **how) -> documents.Added:
        data = text if isinstance(text, bytes) else text.encode()
        return documents.add(name, data, **{"owner": "cli", **how})

    return make


@pytest.fixture
def context():
    """Return `context("user:1", 7)`, which makes the context of task 7 of an owner."""

    def make(owner: str = "user:1", task: int = 1) -> TaskContext:
        return TaskContext(task_id=f"{task:032x}", batch_id="0" * 32, number=task, attempt=1, owner=owner)

    return make
