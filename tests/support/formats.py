"""The examples that the formatting rules in Python and in JavaScript must both satisfy."""

import json
from pathlib import Path

import pytest

NOW = "2026-01-02T03:04:05+00:00"
CLOCKED = {"note", "outlook", "elapsed"}  # rules that also take the time

EXAMPLES = [
    pytest.param(rule, value, text, id=f"{rule}-{index}")
    for rule, examples in json.loads((Path(__file__).parents[1] / "formats.json").read_text()).items()
    for index, (value, text) in enumerate(examples)
]
