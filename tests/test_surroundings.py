"""The tests' own ground: if this breaks, no other result can be believed."""

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


def test_settings_are_those_of_the_run(surroundings):
    assert surroundings.data == settings.DATA_DIR
    assert surroundings.valkey.url == settings.REDIS_URL


def test_the_settings_of_somebody_else_are_refused(tmp_path):
    """Otherwise the tests would empty the database that those name."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "batchsite.settings", "BATCH_DATA": str(tmp_path)}
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--co", "tests/test_surroundings.py"]
    run = subprocess.run(words, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=60)
    assert run.returncode != 0 and "without DJANGO_SETTINGS_MODULE" in run.stdout + run.stderr


def test_database_is_the_chosen_one(db):
    assert connection.vendor == ("postgresql" if ON_POSTGRESQL else "sqlite")


def test_other_processes_see_what_a_test_commits(shared_db, child_environment):
    from django.contrib.auth.models import User

    User.objects.create(username="somebody seen")
    words = "from django.contrib.auth.models import User; print(*User.objects.values_list('username', flat=True))"
    told = manage("shell", "--no-imports", "-c", words, env=child_environment)
    assert told.stdout.strip() == "somebody seen", told.stderr


@pytest.mark.parametrize("turn", ["first", "second"])
def test_nothing_is_left_of_an_earlier_test(shared_db, valkey, turn):
    from django.contrib.auth.models import User

    assert not User.objects.exists() and not WorkerNode.objects.exists() and not valkey.dbsize()
    User.objects.create(username="left over")
    valkey.set("left", "over")


def test_valkey_can_be_killed_and_comes_back_for_the_next_test(surroundings):
    surroundings.stop_valkey()
    assert not surroundings.valkey.answers()


def test_valkey_is_back(valkey):
    assert valkey.ping()


def test_waiting_is_bounded_and_says_for_what(eventually):
    with pytest.raises(AssertionError, match="a pig flies"):
        eventually(lambda: False, timeout=0.05, what="a pig flies")


def test_a_killed_run_leaves_no_process(eventually):
    """kill -9 takes a run's Valkey (and its PostgreSQL) with it."""
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


def test_a_worker_starts_pauses_and_ends(worker, eventually):
    one = worker(concurrency=3)
    node = one.node()
    assert (node.state, node.pid, node.concurrency) == ("active", one.pid, 3)
    one.pause()
    eventually(lambda: psutil.Process(one.pid).status() == psutil.STATUS_STOPPED)
    one.resume()
    assert one.terminate() == 0, one.log
    assert one.node().state == "stopped"


def test_a_killed_worker_is_dead_at_once(worker):
    one = worker()
    one.kill()
    assert not one.alive and not psutil.pid_exists(one.pid)


def test_a_worker_that_cannot_start_says_why(worker):
    with pytest.raises(RuntimeError, match="No module named 'nowhere'"):
        worker(env={"BATCH_APPS": "nowhere"})
