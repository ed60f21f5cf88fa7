"""Results are stored as JSON; a hostile value never breaks its own completion."""

from decimal import Decimal
from pathlib import Path
from uuid import UUID

import orjson
import pytest
from django.test import override_settings
from pydantic import BaseModel

from executor.domain.errors import BadResult
from executor.storage.paths import result_path
from executor.storage.results import store_result
from executor.worker import failures, results

BATCH = UUID(int=1)


class Answer(BaseModel):
    number: int


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (None, None),
        ({"a": [1, 2.5, True, "ä €"]}, {"a": [1, 2.5, True, "ä €"]}),
        (1e308, 1e308),
        ((1, 2), [1, 2]),
        ({1, 2}, [1, 2]),
        ({1: "a"}, {"1": "a"}),
        (Decimal("1.10"), "1.10"),
        (Path("/a/b"), "/a/b"),
        (UUID(int=1), str(UUID(int=1))),
        (Answer(number=3), {"number": 3}),
        ([float("nan"), float("inf")], [None, None]),
        ("half a \ud83d face", "half a \\ud83d face"),
        ({"\ud83d": 1}, {"\\ud83d": 1}),
        (2**63, 2**63),
        (2**70, str(2**70)),
        (10**400, str(10**400)),
        ([10**5000], ["(an integer of 16610 bits)"]),
        ({"\ud83d": (10**30, {2})}, {"\\ud83d": [str(10**30), [2]]}),
    ],
)
def test_value_is_encoded(value, kept):
    assert orjson.loads(results.encode(value)) == kept


def test_nul_character_survives_the_round_trip():
    text = results.encode("a\x00b")
    assert "\x00" not in text
    assert orjson.loads(text) == "a\x00b"


def _deep(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


def _cyclic():
    value = []
    value.append(value)
    return value


@pytest.mark.parametrize("value", [object(), _deep(5000), _cyclic(), b"bytes", (number for number in range(3)), len])
def test_value_that_is_not_json_raises_bad_result(value):
    with pytest.raises(BadResult):
        results.encode(value)


def test_too_large_result_is_not_retryable(monkeypatch):
    monkeypatch.setattr(results, "LARGEST", 1000)
    with pytest.raises(BadResult) as caught:
        results.encode("x" * 1000)
    assert not caught.value.retryable


def test_text_is_cleaned_for_both_databases():
    assert failures.clean("a\x00b \ud800 ä") == "a\\x00b \\ud800 ä"
    long = failures.clean("x" * 100_000 + "END")
    assert len(long) < 5_000 and long.endswith("END")


def test_error_message_has_its_class():
    assert failures.message_of(ValueError("it broke")) == "ValueError: it broke"
    assert failures.message_of(ValueError()) == "ValueError"
    assert failures.message_of(Unprintable()).startswith("Unprintable: ")
    assert "\ud800" not in failures.message_of(ValueError("\ud800 \x00"))


def test_traceback_is_bounded_and_never_fails():
    try:
        raise Unprintable
    except Unprintable as error:
        assert "test_results.py" in failures.traceback_of(error)

    def again():
        again()

    with pytest.raises(RecursionError) as caught:
        again()
    assert len(failures.traceback_of(caught.value)) <= failures.TRACEBACK_CHARACTERS + 10


@override_settings(BATCH_INLINE_RESULT=100)
def test_large_result_becomes_a_file_with_a_summary(settings, tmp_path):
    settings.BATCH_ARTIFACTS = tmp_path
    small = results.encode("x" * 98)
    assert store_result(BATCH, 7, 2, small) == small
    large = results.encode({"begin": "x" * 5000, "end": "ä"})
    note = orjson.loads(store_result(BATCH, 7, 2, large))["$artifact"]
    assert note["size"] == len(large.encode())
    assert large.startswith(note["head"]) and large.endswith(note["tail"])
    path = result_path(BATCH, 7, 2)
    assert path.name == note["artifact"]
    assert path.read_text() == large
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@override_settings(BATCH_INLINE_RESULT=100)
def test_each_attempt_has_its_own_result_file(settings, tmp_path):
    settings.BATCH_ARTIFACTS = tmp_path
    batches = BATCH, UUID(int=2)
    paths = {result_path(batch, number, attempt) for batch in batches for number in (1, 11) for attempt in (1, 11)}
    assert len(paths) == 8
