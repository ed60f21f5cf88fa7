"""Below the least level that the settings allow nothing is run, and the refusal says what to do."""

import pytest

from executor.domain.errors import SandboxUnavailable
from executor.sandbox.levels import ISOLATED, LEVELS, RESTRICTED, Standing, level_named
from executor.sandbox.policy import demand


def machine(level: str) -> Standing:
    return Standing(level, [], [], "restricted", why={"namespaces": "user namespaces are forbidden"})


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("least", LEVELS)
def test_a_machine_runs_programs_that_demand_no_more_than_it_gives(settings, level, least):
    settings.BATCH_CODE_MIN_LEVEL = least
    if LEVELS.index(level) >= LEVELS.index(least):
        demand(machine(level))
    else:
        with pytest.raises(SandboxUnavailable):
            demand(machine(level))


def test_a_refusal_names_the_setting_the_reason_and_the_fix(settings):
    settings.BATCH_CODE_MIN_LEVEL = ISOLATED
    with pytest.raises(SandboxUnavailable) as refused:
        demand(machine(RESTRICTED))
    for word in ("BATCH_CODE_MIN_LEVEL", "user namespaces are forbidden", "bubblewrap", RESTRICTED, ISOLATED):
        assert word in str(refused.value)
    assert refused.value.kind == "sandbox_unavailable" and not refused.value.retryable


@pytest.mark.parametrize("text", ["limits-only", "LIMITS ONLY", "limits", "limits_only"])
def test_a_level_may_be_written_in_several_ways(text):
    assert level_named(text) == LEVELS[0]


def test_a_level_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(ValueError, match="isolated"):
        level_named("strong")
