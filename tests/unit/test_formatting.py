"""The formatting rules in Python; tests/browser/test_modules.py tests the same examples in the browser."""

from datetime import datetime

import pytest

from executor.domain import formatting
from tests.support.formats import CLOCKED, EXAMPLES, NOW


@pytest.mark.parametrize(("rule", "value", "text"), EXAMPLES)
def test_rule_satisfies_the_shared_examples(rule, value, text):
    clock = [datetime.fromisoformat(NOW)] if rule in CLOCKED else []
    assert getattr(formatting, rule)(value, *clock) == text


def test_moments_are_in_utc_to_the_second():
    assert formatting.moment("2026-01-02T03:04:05.678+00:00") == "2026-01-02 03:04:05 UTC"
    assert formatting.moment(None) == "—"
