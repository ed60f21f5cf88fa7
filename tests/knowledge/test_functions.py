"""The task functions: their parameters, their answers, and one of them through a worker."""

import asyncio

import pytest
from django.urls import reverse

from executor.domain.errors import TaskFailed, Unavailable
from executor.functions import lookup, validate
from executor.models import Memory

NAMES = ("knowledge_search", "memory_save", "memory_load", "memory_delete", "memory_forget")


def run(name: str, params: dict, context=None) -> dict:
    """Run one attempt as the worker does."""
    function = lookup(name)
    return asyncio.run(function.call(**function.arguments(params, context)))


# --- parameters ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_example_is_valid_and_parameters_are_described(name):
    function = lookup(name)
    assert function.is_async
    assert validate(name, function.example) == []
    assert all(field.get("description") for field in function.parameters.model_json_schema()["properties"].values())


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("knowledge_search", {"question": "What?", "limit": "5", "threshold": "0.7"}),
        ("knowledge_search", {"query": "What?", "filter": "area == 'main'", "area": "main"}),
        ("memory_save", {"text": "One.", "area": "", "anything": {"else": [1]}}),
        ("memory_load", {"query": "What?", "threshold": "0.5", "limit": "3"}),
        ("memory_delete", {"ids": "a,b"}),
        ("memory_delete", {"ids": ["a", "b"]}),
        ("memory_forget", {"query": "What?", "threshold": "0.9", "filter": ""}),
    ],
)
def test_parameters_of_agents_are_accepted(name, params):
    assert validate(name, params) == []


@pytest.mark.parametrize(
    ("name", "params", "field"),
    [
        ("knowledge_search", {}, "params.query"),
        ("knowledge_search", {"query": "  "}, "params.query"),
        ("knowledge_search", {"query": "x", "limit": 0}, "params.limit"),
        ("knowledge_search", {"query": "x", "threshold": 1.5}, "params.threshold"),
        ("knowledge_search", {"query": "x", "filter": "import os"}, "params.filter"),
        ("knowledge_search", {"query": "a\x00b"}, "params.query"),
        ("knowledge_search", {"query": "x", "unknown": 1}, "params.unknown"),
        ("memory_save", {"text": ""}, "params.text"),
        ("memory_save", {"text": " \n"}, "params"),
        ("memory_save", {"text": "x", "id": "mine"}, "params"),
        ("memory_save", {"text": "x", "metadata": {"owner": "user:2"}}, "params"),
        ("memory_save", {"text": "x", "big": "y" * 70_000}, "params"),
        ("memory_load", {"query": "x", "filter": "a ="}, "params.filter"),
        ("memory_delete", {"ids": " , "}, "params.ids"),
        ("memory_delete", {}, "params.ids"),
        ("memory_forget", {"query": ""}, "params.query"),
    ],
)
def test_invalid_parameters_are_rejected_when_the_task_is_added(name, params, field):
    assert [place for place, _ in validate(name, params)] == [field]


# --- answers --------------------------------------------------------------------------------------------------------


def test_knowledge_search_returns_hits(shared_db, add):
    add("manual.md", "# Manual\n\nA login link is valid for 24 hours.\n")
    answer = run("knowledge_search", {"question": "How long is a login link valid?", "limit": "3"})
    assert answer["count"] == 1
    [result] = answer["results"]
    assert {"text", "score", "source", "position"} <= set(result)
    assert result["text"] == "A login link is valid for 24 hours."
    assert "note" not in answer


def test_memory_can_be_saved_loaded_and_forgotten(shared_db, context):
    memory = {"text": "The customer wants invoices as PDF.", "customer": "ACME", "metadata": {"year": 2026}}
    saved = run("memory_save", memory, context())
    assert saved["message"] == f"Memory saved with id {saved['id']}"
    assert run("memory_save", memory, context()) == saved  # another attempt of the same task
    assert run("memory_save", memory, context(task=2)) != saved

    params = {"query": "How does the customer want invoices?", "filter": "customer == 'ACME' and year == 2026"}
    loaded = run("memory_load", {**params, "limit": "1"}, context())
    [found] = loaded["memories"]
    assert (found["id"], found["text"], found["area"]) == (saved["id"], memory["text"], "main")
    assert found["metadata"] == {"customer": "ACME", "year": 2026}
    assert loaded["message"].endswith(f"Content: {memory['text']}")
    assert "customer: ACME\n" in loaded["message"]

    other = run("memory_load", params, context("user:2"))
    assert other["memories"] == []
    assert other["message"] == f"No memories found for specified query: {params['query']}"

    assert run("memory_delete", {"ids": f"{saved['id']}, missing"}, context("user:2")) == {"memories_deleted": 0}
    assert run("memory_delete", {"ids": f"{saved['id']}, missing"}, context()) == {"memories_deleted": 1}
    assert run("memory_forget", params, context())["memories_deleted"] == 1
    assert not Memory.objects.exists()


def test_only_temporary_errors_are_retryable(shared_db, context, monkeypatch):
    def down():
        raise Unavailable("The embedding server cannot be reached.")

    monkeypatch.setattr("executor.knowledge.memory.embedder", down)
    with pytest.raises(TaskFailed) as raised:
        run("memory_load", {"query": "x"}, context())
    assert raised.value.retryable
    assert "cannot be reached" in raised.value.message


def test_search_does_not_block_the_event_loop(shared_db, add, monkeypatch):
    import time

    monkeypatch.setattr("executor.functions.knowledge_search._search", lambda params: time.sleep(0.3) or {})

    async def both() -> int:
        search = asyncio.ensure_future(run_async("knowledge_search", {"query": "x"}))
        turns = 0
        while not search.done():
            await asyncio.sleep(0.01)
            turns += 1
        return turns

    assert asyncio.run(both()) >= 5


async def run_async(name: str, params: dict) -> dict:
    function = lookup(name)
    return await function.call(**function.arguments(params, None))


# --- the whole way --------------------------------------------------------------------------------------------------


def test_task_finds_a_document_added_by_the_api(worker, client, api_token, eventually):
    headers = {"Authorization": f"Bearer {api_token}"}
    document = {"name": "manual.md", "text": "# Manual\n\nA login link is valid for 24 hours.\n"}
    sent = client.post("/api/knowledge/documents", document, content_type="application/json", headers=headers)
    assert sent.json()["documents"][0]["status"] == "added"
    worker()
    tasks = [
        {"function": "knowledge_search", "params": {"question": "How long can I use a login link?"}},
        {"function": "memory_save", "params": {"text": "Login links were explained.", "topic": "login"}},
    ]
    added = client.post("/api/add_batch", {"tasks": tasks, "start": True}, "application/json", headers=headers).json()
    batch = added["data"]["batch_id"]

    def done():
        found = client.get(f"/api/batches/{batch}/results", headers=headers).json()["results"]
        return found if len(found) == 2 and all(task["status"] in ("completed", "failed") for task in found) else None

    searched, saved = eventually(done, timeout=30)
    assert searched["result"]["results"][0]["text"] == "A login link is valid for 24 hours."
    [kept] = Memory.objects.all()
    assert (saved["result"]["id"], kept.metadata) == (kept.memory_id, {"topic": "login"})
    assert kept.owner.startswith("token:")
    assert reverse("knowledge") == "/knowledge/"
