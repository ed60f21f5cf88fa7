"""Wrong environment variables are rejected in one sentence, before anything starts."""

import os

import pytest

from tests.support.processes import manage


@pytest.fixture
def check(tmp_path):
    def run(command: str = "check", **env: str):
        return manage(command, env={**os.environ, "BATCH_DATA": str(tmp_path), **env})

    return run


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("DATABASE_URL", "mysql://someone:hush@host/name", "must be like postgresql://"),
        ("DATABASE_URL", "postgresql://someone:hush@host:many/name", "must be like postgresql://"),
        ("DATABASE_URL", "nothing", "must be like postgresql://"),
        ("BATCH_HEARTBEAT", "soon", "must be a number of at least 0.1, not 'soon'"),
        ("BATCH_TIMEOUT", "nan", "must be a number of at least 0.001, not 'nan'"),
        ("BATCH_GRACE", "-1", "must be a number of at least 0, not '-1'"),
        ("BATCH_CONCURRENCY", "0", "must be a whole number from 1 to 10000, not '0'"),
        ("BATCH_MAX_TASKS", "1.5", "must be a whole number of at least 1, not '1.5'"),
        ("BATCH_PORT", "65536", "must be a whole number from 1 to 65535, not '65536'"),
    ],
)
def test_invalid_value_is_rejected(check, name, value, message):
    result = check(**{name: value})
    assert result.returncode == 1
    assert result.stderr.startswith(f"{name} {message}") and result.stderr.count("\n") == 1
    assert "hush" not in result.stderr


@pytest.mark.parametrize("command", ["check", "up"])
def test_heartbeat_limit_under_three_heartbeats_is_rejected(check, command):
    result = check(command, BATCH_HEARTBEAT="5", BATCH_HEARTBEAT_LIMIT="10")
    assert result.returncode == 1
    assert "BATCH_HEARTBEAT_LIMIT is 10 s, less than three times BATCH_HEARTBEAT" in result.stderr


def test_empty_value_means_the_default(check):
    result = check(DATABASE_URL="", REDIS_URL="", BATCH_HEARTBEAT="")
    assert result.returncode == 0, result.stderr
