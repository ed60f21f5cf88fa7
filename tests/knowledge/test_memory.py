"""Memories of agents: save, load, forget."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from executor.knowledge import memory
from executor.knowledge.expressions import Filter
from executor.models import Memory

pytestmark = pytest.mark.django_db


def texts(owner: str, query: str, **how) -> list[str]:
    return [each.memory.text for each in memory.load(owner, query, **how)]


def test_memories_are_loaded_by_meaning():
    memory.save("user:1", "The user prefers a dark colour theme.")
    memory.save("user:1", "Deployment happens on Thursdays.")
    [found] = memory.load("user:1", "Which colour theme does the user like?")
    assert found.memory.text == "The user prefers a dark colour theme."
    assert 0.7 <= found.score <= 1
    assert len(found.memory.memory_id) == 10


def test_equal_texts_score_one_and_unrelated_texts_about_half():
    """The score is (1 + cosine) / 2: a score of 0.7 is a cosine of 0.4."""
    memory.save("user:1", "The user prefers a dark colour theme.")
    [same] = memory.load("user:1", "The user prefers a dark colour theme.", threshold=0)
    [other] = memory.load("user:1", "Volcanoes erupt.", threshold=0)
    assert same.score == pytest.approx(1, abs=0.001)
    assert 0.4 < other.score < 0.65
    assert memory.score_of(0.4) == 0.7
    assert (memory.score_of(-1), memory.score_of(1.0000001)) == (0, 1)


def test_memories_of_other_owners_are_invisible():
    kept = memory.save("user:1", "The secret word is swordfish.")
    for other in ("user:2", "token:1", "user:11", "cli", ""):
        assert texts(other, "secret word", threshold=0) == []
        assert memory.delete(other, [kept.memory_id]) == 0
        assert memory.forget(other, "secret word", threshold=0) == []
    assert texts("user:1", "secret word") == ["The secret word is swordfish."]


def test_key_saves_once_per_owner():
    first = memory.save("user:1", "One.", key="task-1")
    assert memory.save("user:1", "One.", key="task-1") == first
    assert memory.save("user:1", "One.", key="task-2") != first
    assert memory.save("user:2", "One.", key="task-1") != first
    assert memory.save("user:1", "One.") != memory.save("user:1", "One.")


def test_concurrent_attempts_save_once(shared_db):
    def save(_):
        try:
            return memory.save("user:1", "One.", key="task-1").memory_id
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(save, range(8)))) == 1
    assert Memory.objects.count() == 1


def test_load_applies_area_filter_and_limit():
    memory.save("user:1", "The pump costs 40 euros.", "main", {"customer": "ACME", "year": 2023})
    memory.save("user:1", "The pump costs 50 euros.", "solutions", {"customer": "ACME", "year": 2025})
    memory.save("user:1", "The pump costs 60 euros.", "solutions", {"customer": "Other"})
    assert len(texts("user:1", "pump price")) == 3
    assert len(texts("user:1", "pump price", limit=2)) == 2
    assert len(texts("user:1", "pump price", area="solutions")) == 2
    assert texts("user:1", "pump price", filter=Filter("year > 2024")) == ["The pump costs 50 euros."]
    assert texts("user:1", "pump price", filter=Filter("area == 'main' and customer == 'ACME'")) == [
        "The pump costs 40 euros."
    ]
    assert len(texts("user:1", "pump price", filter=Filter("timestamp > '2020-01-01 00:00:00'"))) == 3


def test_forget_deletes_memories_above_the_threshold():
    for number in range(30):
        memory.save("user:1", f"The pump number {number} costs 40 euros.")
    memory.save("user:1", "The user prefers a dark colour theme.")
    memory.save("user:2", "The pump costs 40 euros.")
    assert len(memory.forget("user:1", "price of the pump", threshold=0.7)) == 30
    assert texts("user:1", "theme", threshold=0) == ["The user prefers a dark colour theme."]
    assert Memory.objects.filter(owner="user:2").count() == 1


def test_forget_keeps_memories_outside_the_filter():
    memory.save("user:1", "The pump costs 40 euros.", "main")
    memory.save("user:1", "The pump costs 50 euros.", "fragments")
    assert len(memory.forget("user:1", "pump", threshold=0, filter=Filter("area == 'fragments'"))) == 1
    assert texts("user:1", "pump", threshold=0) == ["The pump costs 40 euros."]


def test_delete_returns_the_number_deleted():
    one, two = memory.save("user:1", "One."), memory.save("user:1", "Two.")
    assert memory.delete("user:1", [one.memory_id, two.memory_id, "missing", one.memory_id]) == 2
    assert memory.delete("user:1", [one.memory_id]) == 0


def test_memories_of_another_model_are_reembedded():
    memory.save("user:1", "The user prefers a dark colour theme.")
    Memory.objects.update(model="another", vector=b"\x00\x3c" * 8)
    assert len(texts("user:1", "Which colour theme does the user like?")) == 1
    assert Memory.objects.get().model != "another"
