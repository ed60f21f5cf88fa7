"""The minimum level of the settings: programs below it are refused with a fix."""

import pytest

from executor.domain.errors import SandboxUnavailable
from executor.sandbox.levels import ISOLATED, LEVELS, RESTRICTED, Containment, parse_level
from executor.sandbox.policy import require_min_level


def machine(level: str) -> Containment:
    return Containment(level, [], [], "restricted", failures={"namespaces": "user namespaces are forbidden"})


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("least", LEVELS)
def test_programs_run_only_at_or_above_the_minimum_level(settings, level, least):
    settings.BATCH_CODE_MIN_LEVEL = least
    if LEVELS.index(level) >= LEVELS.index(least):
        require_min_level(machine(level))
    else:
        with pytest.raises(SandboxUnavailable):
            require_min_level(machine(level))


def test_refusal_names_the_setting_the_reason_and_the_fix(settings):
    settings.BATCH_CODE_MIN_LEVEL = ISOLATED
    with pytest.raises(SandboxUnavailable) as refused:
        require_min_level(machine(RESTRICTED))
    for word in ("BATCH_CODE_MIN_LEVEL", "user namespaces are forbidden", "bubblewrap", RESTRICTED, ISOLATED):
        assert word in str(refused.value)
    assert refused.value.kind == "sandbox_unavailable" and not refused.value.retryable


@pytest.mark.parametrize("text", ["limits-only", "LIMITS ONLY", "limits", "limits_only"])
def test_parse_level_accepts_several_spellings(text):
    assert parse_level(text) == LEVELS[0]


def test_parse_level_rejects_an_unknown_level_and_lists_the_known():
    with pytest.raises(ValueError, match="isolated"):
        parse_level("strong")
