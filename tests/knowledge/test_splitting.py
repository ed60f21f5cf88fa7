"""Splitting of documents into chunks."""

import pytest

from executor.knowledge.formats import Block
from executor.knowledge.sentences import sentences, split_text
from executor.knowledge.splitting import MAX_SIZE, TARGET_SIZE, split


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Okafor met Mrs. Lindqvist. They talked.", ["Dr. Okafor met Mrs. Lindqvist.", "They talked."]),
        ("Version 3.11 is out, e.g. for tests. Use it.", ["Version 3.11 is out, e.g. for tests.", "Use it."]),
        ("„Ja.“ Er ging. Éric kam.", ["„Ja.“", "Er ging.", "Éric kam."]),
        ("一。二。", ["一。", "二。"]),
        ("no end", ["no end"]),
        ("", []),
    ],
)
def test_sentences_are_split(text, expected):
    assert list(sentences(text)) == expected


def test_long_sentences_are_divided_between_words_and_long_words_cut():
    assert list(split_text("aaa bbb ccc ddd", 7)) == ["aaa bbb", "ccc ddd"]
    assert list(split_text("x" * 25, 10)) == ["x" * 10, "x" * 10, "x" * 5]


def test_short_blocks_are_joined_within_a_section_only():
    blocks = [Block("a", ("One",), {"line": 1}), Block("b", ("One",), {"line": 3}), Block("c", ("Two",), {"line": 6})]
    assert [(piece.text, piece.section, piece.position) for piece in split(blocks)] == [
        ("a\n\nb", "One", {"line": 1}),
        ("c", "Two", {"line": 6}),
    ]


def test_rows_are_joined_line_by_line():
    rows = [Block(f"row {number}", (), {"row": number}, flowing=False) for number in range(1, 4)]
    [piece] = split(rows)
    assert piece.text == "row 1\nrow 2\nrow 3"


def test_pieces_respect_the_limit_and_keep_all_words():
    text = " ".join(f"Sentence number {number} says something of no consequence." for number in range(500))
    chunks = split([Block(text)])
    assert max(len(piece.text) for piece in chunks) <= MAX_SIZE
    assert min(len(piece.text) for piece in chunks[:-1]) > TARGET_SIZE / 2
    found = {word for piece in chunks for word in piece.text.split()}
    assert set(text.split()) == found


def test_divided_paragraph_repeats_its_last_sentence_once():
    text = " ".join(f"Sentence number {number} says something of no consequence." for number in range(60))
    first, second, *_ = [piece.text for piece in split([Block(text)])]
    last = list(sentences(first))[-1]
    assert second.startswith(last)
    assert second.count(last) == 1


def test_wrapped_prose_is_divided_at_its_sentences():
    wrapped = "This sentence number {} goes on over several\nlines because somebody wrapped it, and\nhere it ends."
    chunks = split([Block("\n".join(wrapped.format(number) for number in range(40)))])
    assert len(chunks) > 3
    assert all(piece.text.startswith("This sentence") and piece.text.endswith("it ends.") for piece in chunks)


@pytest.mark.parametrize("line", ["- item {} does this", "| row {} | value |", "2026-01-01 INFO line {} of a log"])
def test_significant_line_ends_are_kept(line):
    lines = [line.format(number) for number in range(120)]
    chunks = split([Block("\n".join(lines))])
    assert len(chunks) > 2
    assert "\n".join(piece.text for piece in chunks).split("\n") == lines


def test_text_without_spaces_or_sentences_is_divided():
    text = "".join(map(str, range(1500)))
    chunks = split([Block(text)])
    assert "".join(piece.text for piece in chunks) == text
    assert max(len(piece.text) for piece in chunks) <= MAX_SIZE


def test_repeated_text_is_kept_once():
    blocks = [Block("Imprint."), Block("Other.", ("H",)), Block("imprint. ")]
    assert [piece.text for piece in split(blocks)] == ["Imprint.", "Other."]
