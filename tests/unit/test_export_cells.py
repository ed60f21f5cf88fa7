"""A cell of a CSV file: nothing in it is run by a spreadsheet."""

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
def test_a_formula_is_made_text(text):
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", 'plain, with "quotes"\nand lines', "a=b"])
def test_every_other_text_stays_as_it_is(text):
    assert cell(text) == text


@pytest.mark.parametrize(
    ("json", "shown"),
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
def test_json_is_shown_as_what_it_means(json, shown):
    assert json_cell(json) == shown
