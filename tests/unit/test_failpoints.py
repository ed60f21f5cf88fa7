"""An armed failpoint acts once, at the named passage; the others do nothing."""

import pytest
from django.db import OperationalError

from executor.db import failpoints
from executor.db.failpoints import POINTS, arm, failpoint


@pytest.fixture(autouse=True)
def _disarmed():
    yield
    arm("")


def test_only_an_armed_failpoint_acts():
    arm("before-claim=raise")
    assert [point for point in POINTS if _raises(point)] == ["before-claim"]
    arm("")
    assert [point for point in POINTS if _raises(point)] == []


def _raises(point: str) -> bool:
    try:
        failpoint(point)
    except OperationalError:
        return True
    return False


def test_failpoint_acts_once_at_the_nth_passage():
    arm("before-push=raise@2, mid-repair=raise")
    failpoint("before-push")
    failpoint("before-push", [])
    with pytest.raises(OperationalError, match="before-push"):
        failpoint("before-push", ["something"])
    failpoint("before-push")
    with pytest.raises(OperationalError):
        failpoint("mid-repair")


@pytest.mark.parametrize("wrong", ["nowhere=kill", "before-push", "before-push=explode", "before-push=kill@often"])
def test_invalid_setting_is_rejected(wrong):
    with pytest.raises(ValueError):
        arm(wrong)


def test_every_failpoint_is_used():
    from executor.processes.spawning import PROJECT

    code = "".join(path.read_text() for path in (PROJECT / "executor").rglob("*.py") if path.name != "failpoints.py")
    assert not [point for point in POINTS if f'failpoint("{point}"' not in code]
    assert not failpoints._armed
