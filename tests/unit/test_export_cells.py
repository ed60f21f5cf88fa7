"""Cells of CSV exports: spreadsheets must not evaluate them."""

import pytest

from executor.actions.export import cell, json_cell


@pytest.mark.parametrize(
    "text",
    [
        '=HYPERLINK("http://evil.example","click")',
        "=1+1",
        "+1+1",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "   =1",
        "\u00a0=1",
        "＝1",
        "＋1",
        "－1",
        "＠SUM(A1)",
    ],
    ids=ascii,
)
def test_formulas_are_escaped(text):
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", 'plain, with "quotes"\nand lines', "a=b"])
def test_other_texts_are_unchanged(text):
    assert cell(text) == text


@pytest.mark.parametrize(
    ("json", "expected"),
    [
        ("null", ""),
        ("-5", "-5"),
        ("-0.5", "-0.5"),
        ("true", "true"),
        ('{"a":[1,"=2"]}', '{"a":[1,"=2"]}'),
        ('["-"]', '["-"]'),
        ('"text"', "text"),
        ('"=1"', "'=1"),
        ('"-5"', "'-5"),
    ],
)
def test_json_values_are_written_as_plain_cells(json, expected):
    assert json_cell(json) == expected
