"""What the environment says wrongly is told in a sentence before anything starts."""

import os

import pytest

from tests.support.processes import manage


@pytest.fixture
def check(tmp_path):
    def run(**env: str):
        return manage("check", env={**os.environ, "BATCH_DATA": str(tmp_path), **env})

    return run


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("DATABASE_URL", "mysql://someone:hush@host/name", "must be like postgresql://"),
        ("DATABASE_URL", "postgresql://someone:hush@host:many/name", "must be like postgresql://"),
        ("DATABASE_URL", "nothing", "must be like postgresql://"),
        ("BATCH_HEARTBEAT", "soon", "must be a number, not 'soon'"),
    ],
)
def test_what_means_nothing_is_refused(check, name, value, told):
    said = check(**{name: value})
    assert said.returncode == 1
    assert said.stderr.startswith(f"{name} {told}") and said.stderr.count("\n") == 1
    assert "hush" not in said.stderr


def test_a_limit_that_a_heartbeat_cannot_keep_is_refused(check):
    said = check(BATCH_HEARTBEAT="5", BATCH_HEARTBEAT_LIMIT="10")
    assert (
        said.returncode == 1 and "BATCH_HEARTBEAT_LIMIT is 10 s, less than three times BATCH_HEARTBEAT" in said.stderr
    )


def test_empty_is_as_if_it_were_not_there(check, tmp_path):
    said = check(DATABASE_URL="", REDIS_URL="", BATCH_HEARTBEAT="")
    assert said.returncode == 0, said.stderr
