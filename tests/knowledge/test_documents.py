"""Adding, replacing and removing documents."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from executor.domain.errors import BadRequest, NotFound, TooLarge
from executor.knowledge import documents
from executor.knowledge.search import search
from executor.models import AuditEntry, Chunk, Document


def titles(query: str, **how) -> list[str]:
    return [hit.title for hit in search(query, **how).hits]


def test_added_document_has_chunks_and_is_found(add):
    added = add("manual.md", "# Manual\n\n## Login\n\nA login link is valid for 24 hours.\n", metadata={"year": 2026})
    assert added.status == "added"
    assert (added.document.title, added.document.media_type, added.document.chunk_count) == (
        "Manual",
        "text/markdown",
        1,
    )
    [hit] = search("How long can I use a login link?").hits
    assert hit.text == "A login link is valid for 24 hours."
    assert hit.source == "manual.md"
    assert hit.section == "Manual › Login"
    assert hit.position == {"chunk": 1, "of": 1, "line": 5}
    assert hit.metadata == {"year": 2026}
    assert hit.matched == ["lexical", "semantic"]
    assert hit.score > 0.7
    assert AuditEntry.objects.get(action="knowledge_add").actor == "cli"


def test_same_content_is_kept_once_per_area(add):
    first = add("a.txt", "The same text.")
    assert add("b.md", "The same text.\n").document == first.document
    assert add("b.md", "The same text.\n").status == "unchanged"
    assert add("a.txt", "The same text.", area="other").status == "added"
    assert Document.objects.count() == 2


def test_replace_removes_older_content_of_the_same_source(add):
    add("a.txt", "Old words about elephants.")
    assert add("a.txt", "New words about giraffes.", replace=True).status == "replaced"
    assert Document.objects.count() == 1
    assert [hit.text for hit in search("elephants").hits] == ["New words about giraffes."]
    assert add("a.txt", "Third words about lions.").status == "added"
    assert Document.objects.count() == 2


def test_removed_document_is_no_longer_found(add):
    gone = add("a.txt", "Words about elephants.").document
    add("b.txt", "Words about giraffes.")
    assert titles("elephants")[0] == "a.txt"
    documents.remove(str(gone.pk), actor="user:1")
    assert titles("elephants") == ["b.txt"]
    assert titles("elephants", halves=("lexical",)) == []
    assert Chunk.objects.count() == 1
    assert AuditEntry.objects.get(action="knowledge_remove").actor == "user:1"


def test_deleting_a_document_deletes_its_words(add):
    add("a.txt", "Words about elephants.").document.delete()
    assert titles("elephants", halves=("lexical",)) == []
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            # With rank 1 it compares the index with the table that it reads from.
            cursor.execute(
                "INSERT INTO executor_chunk_words (executor_chunk_words, rank) VALUES ('integrity-check', 1)"
            )


def test_changed_text_is_found_by_its_new_words(add):
    add("a.txt", "Words about elephants.")
    Chunk.objects.update(text="Words about giraffes.")
    assert titles("elephants", halves=("lexical",)) == []
    assert titles("giraffes", halves=("lexical",)) == ["a.txt"]


def test_find_accepts_the_beginning_of_an_id(add):
    document = add("a.txt", "One.").document
    assert documents.find(document.pk.hex[:20]) == document
    assert documents.find(str(document.pk).upper()) == document
    for wrong in ("zz", "0" * 32, "", str(document.pk) + "0"):
        with pytest.raises(NotFound):
            documents.find(wrong)


def test_cursor_continues_after_the_last_page(add):
    ids = [str(add(f"{number}.txt", f"Text number {number}.").document.pk) for number in range(5)]
    first, cursor = documents.list_documents(limit=2)
    second, cursor = documents.list_documents(limit=2, cursor=cursor)
    third, end = documents.list_documents(limit=2, cursor=cursor)
    assert [str(document.pk) for document in (*first, *second, *third)] == ids[::-1]
    assert end is None
    assert [document.source for document in documents.list_documents(q="3.T")[0]] == ["3.txt"]


@pytest.mark.parametrize(
    ("name", "text", "how", "error"),
    [
        ("a.txt", "  \n ", {}, BadRequest),
        ("a.pdf", "no pdf", {}, BadRequest),
        ("", "text", {}, BadRequest),
        ("a.txt", "text", {"area": " "}, BadRequest),
        ("a.txt", "text", {"area": "x" * 101}, BadRequest),
        ("a.txt", "text", {"metadata": {"x": float("nan")}}, BadRequest),
        ("a.txt", "text", {"metadata": {"x": "y" * 70_000}}, TooLarge),
    ],
)
def test_rejected_document_leaves_nothing_behind(add, name, text, how, error):
    with pytest.raises(error):
        add(name, text, **how)
    assert not Document.objects.exists()


def test_too_large_document_is_rejected(add, settings):
    settings.BATCH_MAX_DOCUMENT = 10
    with pytest.raises(TooLarge):
        add("a.txt", "more than ten bytes")


def test_concurrent_adds_of_the_same_content_yield_one_document(shared_db):
    def add_it(_):
        try:
            return documents.add("a.txt", b"The same text.", owner="cli")
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        added = list(threads.map(add_it, range(4)))
    assert len({each.document.pk for each in added}) == 1
    assert sorted(each.status for each in added) == ["added", "unchanged", "unchanged", "unchanged"]
    assert Chunk.objects.count() == 1


def test_large_documents_are_written_in_batches(add):
    rows = "name,number\n" + "\n".join(f"row {number},{'x' * 700}" for number in range(1200))
    added = add("a.csv", rows)
    assert added.document.chunk_count == Chunk.objects.count() == 1200
    assert list(Chunk.objects.order_by("pk").values_list("number", flat=True)) == list(range(1, 1201))
    assert search("row 977", limit=1).hits[0].position == {"chunk": 978, "of": 1200, "row": 979}
    assert json.dumps(search("row 977").hits[0].as_dict())
