"""Tests of the fixtures: data folder, database, Valkey and processes of a test run."""

import os
import shutil
import subprocess
import sys

import psutil
import pytest
from django.conf import settings
from django.db import connection

from executor.models import WorkerNode
from executor.processes.layout import PROJECT
from tests.support.environment import ON_POSTGRESQL
from tests.support.processes import manage


def test_settings_point_to_the_surroundings_of_this_run(surroundings):
    assert surroundings.data == settings.DATA_DIR
    assert surroundings.valkey.url == settings.REDIS_URL


def test_settings_of_a_site_are_refused(tmp_path):
    """The tests would empty its database."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "batchsite.settings", "BATCH_DATA": str(tmp_path)}
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--co", "tests/test_surroundings.py"]
    run = subprocess.run(words, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=60)
    assert run.returncode != 0 and "without DJANGO_SETTINGS_MODULE" in run.stdout + run.stderr


def test_database_is_the_selected_one(db):
    assert connection.vendor == ("postgresql" if ON_POSTGRESQL else "sqlite")


def test_other_processes_see_the_commits_of_a_test(shared_db, child_environment):
    from django.contrib.auth.models import User

    User.objects.create(username="committed")
    words = "from django.contrib.auth.models import User; print(*User.objects.values_list('username', flat=True))"
    done = manage("shell", "--no-imports", "-c", words, env=child_environment)
    assert done.stdout.strip() == "committed", done.stderr


@pytest.mark.parametrize("test", ["first", "second"])
def test_a_test_begins_with_an_empty_database_and_valkey(shared_db, valkey, test):
    from django.contrib.auth.models import User

    assert not User.objects.exists() and not WorkerNode.objects.exists() and not valkey.dbsize()
    User.objects.create(username="left over")
    valkey.set("left", "over")


def test_a_test_may_end_valkey(surroundings):
    surroundings.stop_valkey()
    assert not surroundings.valkey.answers()


def test_valkey_runs_after_a_test_that_ended_it(valkey):
    assert valkey.ping()


def test_eventually_fails_after_its_timeout_and_names_the_condition(eventually):
    with pytest.raises(AssertionError, match="the impossible"):
        eventually(lambda: False, timeout=0.05, what="the impossible")


def test_a_killed_run_leaves_no_process(eventually):
    """Valkey, and on PostgreSQL the server, end with the test process even on SIGKILL."""
    script = (
        "import time; from tests.support.environment import Surroundings; run = Surroundings(); run.enter();"
        "run.start_valkey(); print(*run.folders, flush=True); time.sleep(60)"
    )
    run = subprocess.Popen([sys.executable, "-c", script], cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    folders = run.stdout.readline().split()
    children = psutil.Process(run.pid).children(recursive=True)
    names = [child.name() for child in children]
    run.kill()
    run.wait(10)
    run.stdout.close()
    try:
        assert "valkey-server" in names
        eventually(lambda: not psutil.wait_procs(children, timeout=0)[1], what="its children have ended")
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def test_worker_fixture_starts_pauses_and_ends_a_worker(worker, eventually):
    one = worker(concurrency=3)
    node = one.node()
    assert (node.state, node.pid, node.concurrency) == ("active", one.pid, 3)
    one.pause()
    eventually(lambda: psutil.Process(one.pid).status() == psutil.STATUS_STOPPED)
    one.resume()
    assert one.terminate() == 0, one.log
    assert one.node().state == "stopped"


def test_worker_fixture_kills_a_worker(worker):
    one = worker()
    one.kill()
    assert not one.alive and not psutil.pid_exists(one.pid)


def test_worker_fixture_reports_why_a_worker_did_not_start(worker):
    with pytest.raises(RuntimeError, match="No module named 'nowhere'"):
        worker(env={"BATCH_APPS": "nowhere"})
