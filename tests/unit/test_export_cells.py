"""A cell of a CSV file: nothing in it is run by a spreadsheet."""

import pytest

from executor.actions.export import cell


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


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        ("", ""),
        ('plain, with "quotes"\nand lines', 'plain, with "quotes"\nand lines'),
        ("a=b", "a=b"),
        (-5, "-5"),
        (-0.5, "-0.5"),
        (True, "true"),
        ({"a": [1, "=2"]}, '{"a":[1,"=2"]}'),
        (["-"], '["-"]'),
    ],
)
def test_everything_else_stays_as_it_is(value, shown):
    assert cell(value) == shown
