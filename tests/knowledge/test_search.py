"""Search: quality, filters, queries, and the in-memory index."""

import json
from pathlib import Path

import pytest

from executor.domain.errors import Unavailable
from executor.knowledge import search as module
from executor.knowledge.expressions import Filter
from executor.knowledge.search import fuse, search
from executor.models import Chunk, Document, KnowledgeIndex

QUALITY = json.loads(Path(__file__).with_name("quality.json").read_text())


# --- quality ----------------------------------------------------------------------------------------------------


def recall(halves: tuple[str, ...], within: int = 5) -> float:
    """Return the share of the questions whose passage is among the first results."""
    questions = QUALITY["questions"]
    found = 0
    for each in questions:
        hits = search(each["question"], limit=within, halves=halves).hits
        found += each["passage"] in [hit.source for hit in hits]
    return found / len(questions)


def test_hybrid_search_finds_nine_of_ten_passages_and_more_than_either_half(add):
    """Many questions share no significant word with their passage; others name one of dozens of similar entries."""
    assert len(QUALITY["questions"]) >= 40
    for passage in QUALITY["passages"]:
        add(passage["id"], passage["text"])
    hybrid, lexical, semantic = recall(("lexical", "semantic")), recall(("lexical",)), recall(("semantic",))
    print(f"recall@5: hybrid {hybrid:.3f}, lexical {lexical:.3f}, semantic {semantic:.3f}")
    assert hybrid >= 0.95
    assert hybrid >= lexical + 0.05
    assert hybrid >= semantic + 0.05


def test_quality_set_is_valid():
    passages = {passage["id"]: passage["text"] for passage in QUALITY["passages"]}
    assert len(passages) == len(QUALITY["passages"]) == len(set(passages.values()))
    assert all(question["passage"] in passages for question in QUALITY["questions"])


# --- fusion ---------------------------------------------------------------------------------------------------------


def test_hits_of_both_halves_come_first():
    assert fuse({"lexical": {1: 1.0, 2: 1.0}, "semantic": {3: 1.0, 2: 1.0}}) == [2, 1, 3]


def test_single_common_word_ranks_below_meaning():
    assert fuse({"lexical": {1: 0.2, 2: 0.2}, "semantic": {3: 1.0, 4: 1.0}}) == [3, 4, 1, 2]


# --- narrowing ------------------------------------------------------------------------------------------------------


@pytest.fixture
def animals(add):
    add("old.txt", "The elephant drinks water.", metadata={"year": 2019, "tags": ["draft"]})
    add("new.txt", "The elephant drinks milk.", metadata={"year": 2024, "tags": []})
    add("zoo.txt", "The elephant drinks tea.", area="zoo", metadata={"year": 2024})


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, {"old.txt", "new.txt", "zoo.txt"}),
        ({"area": "zoo"}, {"zoo.txt"}),
        ({"area": "nowhere"}, set()),
        ({"filter": Filter("year >= 2020")}, {"new.txt", "zoo.txt"}),
        ({"filter": Filter("'draft' in tags")}, {"old.txt"}),
        ({"filter": Filter("source.startswith('n')")}, {"new.txt"}),
        ({"area": "main", "filter": Filter("year >= 2020")}, {"new.txt"}),
        ({"filter": Filter("year > 3000")}, set()),
    ],
)
def test_search_applies_area_and_filter(animals, how, expected):
    for halves in (("lexical", "semantic"), ("lexical",), ("semantic",)):
        assert {hit.source for hit in search("elephant", halves=halves, **how).hits} == expected


def test_threshold_applies_to_the_similarity(animals, add):
    add("other.txt", "Compound interest doubles a sum in ten years.")
    hits = search("Which animal drinks water?", threshold=0.6).hits
    assert hits[0].source == "old.txt"
    assert all(hit.score >= 0.6 for hit in hits)
    assert "other.txt" not in [hit.source for hit in hits]
    assert search("Which animal drinks water?", threshold=0.999).hits == []


def test_search_applies_the_limit(animals):
    assert len(search("elephant", limit=2).hits) == 2


def test_same_passage_of_two_documents_is_one_result(add):
    add("a.md", "# A\n\nThe elephant drinks.\n")
    add("b.md", "# B\n\nThe elephant drinks.\n")
    assert len(search("elephant").hits) == 1


@pytest.mark.parametrize(
    "query",
    [
        *('"', "'", "''''", "\\", "%s %d", "???", "🐘", ":*&|!<->", "^x"),
        *(
            "a OR b AND NOT (c",
            "elephant*",
            "NEAR(a b)",
            "text: x",
            "elephant's",
            "a_b-c.d/e@f:g",
            "the and of",
            "élan",
        ),
        "x" * 5000,
        " ".join(f"w{number}" for number in range(500)),
    ],
)
def test_any_text_is_a_valid_query(animals, query):
    assert search(query, limit=1) is not None


@pytest.mark.parametrize("query", ["KX-4471", "kx 4471", "4471", "err_code_42", "example.org", "org/path"])
def test_parts_of_names_with_punctuation_are_found(add, query):
    add("a.txt", "Part KX-4471, err_code_42, see https://example.org/path for more.")
    add("b.txt", "Something else.")
    assert [hit.source for hit in search(query, halves=("lexical",)).hits] == ["a.txt"]


def test_inflected_words_are_found(add):
    add("a.txt", "The batteries were charging.")
    assert search("battery charge", halves=("lexical",)).hits


# --- the copy of the vectors ------------------------------------------------------------------------------------------


def semantic(query: str) -> list[str]:
    return [hit.source for hit in search(query, halves=("semantic",)).hits]


def test_later_documents_are_found(add):
    add("a.txt", "The elephant drinks water.")
    assert semantic("elephant") == ["a.txt"]
    for number in range(30):
        add(f"{number}.txt", f"Filler text of number {number}, about nothing.")
    add("b.txt", "Two elephants eat.")
    assert set(semantic("elephant")[:2]) == {"a.txt", "b.txt"}


def test_refresh_reads_only_new_vectors(add, django_assert_num_queries):
    add("a.txt", "The elephant drinks water.")
    index, vector = module.INDEX, module.embedder().embed(["elephant"])[0]
    model = module.embedder().name
    index.nearest(vector, model, 5, None)
    with django_assert_num_queries(1):  # the state, and nothing else
        index.nearest(vector, model, 5, None)
    add("b.txt", "Two elephants eat.")
    matrix = index._matrix
    assert len(index.nearest(vector, model, 5, None)) == 2
    assert len(index) == 2
    assert matrix is not None


def test_replaced_database_is_read_again(add):
    add("a.txt", "The elephant drinks water.")
    assert semantic("elephant") == ["a.txt"]
    Document.objects.all().delete()
    KnowledgeIndex.objects.all().delete()
    add("b.txt", "The giraffe eats leaves.")
    assert semantic("elephant") == ["b.txt"]


# --- without an embedder, with another one ------------------------------------------------------------------------


def test_without_an_embedder_search_uses_words_only(animals, monkeypatch):
    def down():
        raise Unavailable("The embedding server cannot be reached.")

    monkeypatch.setattr(module, "embedder", down)
    found = search("elephant milk")
    assert found.hits[0].source == "new.txt"
    assert found.hits[0].score is None
    assert "words only" in found.note and "cannot be reached" in found.note


def test_vectors_of_another_model_are_rebuilt(animals, monkeypatch):
    from executor.knowledge import reembedding

    Chunk.objects.update(model="another", vector=b"\x00\x3c" * 8)
    monkeypatch.setattr(reembedding.threading.Thread, "start", lambda thread: reembedding._running.release())
    found = search("elephant")
    assert "words only" in found.note
    assert {hit.matched[0] for hit in found.hits} == {"lexical"}
    assert reembedding.reembed() == 3
    found = search("elephant")
    assert found.note == ""
    assert all("semantic" in hit.matched for hit in found.hits)
    assert reembedding.reembed() == 0


def test_one_process_reembeds_and_another_takes_over_after_the_timeout(animals):
    from datetime import timedelta

    from executor.knowledge.reembedding import TAKEOVER_TIMEOUT, _claim

    assert _claim()
    assert not _claim()
    index = KnowledgeIndex.objects.get()
    KnowledgeIndex.objects.update(rebuilt_at=index.rebuilt_at - TAKEOVER_TIMEOUT - timedelta(seconds=1))
    assert _claim()
