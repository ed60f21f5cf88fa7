"""`manage.py benchmark` with small workloads."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import psutil
import pytest

from executor.processes.layout import PROJECT
from executor.testbed.temporary_site import FOLDER_PARENT, FOLDER_PREFIX
from tests.support.processes import manage


@pytest.fixture
def environment(tmp_path):
    return {**os.environ, "BATCH_DATA": str(tmp_path / "mine")}


def site_folders() -> set[str]:
    return {path.name for path in Path(FOLDER_PARENT).glob(f"{FOLDER_PREFIX}*")}


@pytest.mark.parametrize(
    ("workload", "tasks", "figures"),
    [
        ("noop", 200, {"tasks_per_second": (1, 100_000), "seconds": (0.001, 120)}),
        ("sleep", 20, {"seconds": (1, 60)}),
        ("add", 500, {"seconds": (0.001, 60), "peak_over_idle_mb": (-50, 2_000), "idle_mb": (10, 2_000)}),
        ("sandbox", 5, {"more_ms": (0.1, 10_000), "plain_ms": (0.1, 10_000)}),
        ("latency", 5, {"p50_ms": (0.1, 20_000), "p99_ms": (0.1, 20_000)}),
        ("http", 5, {"p50_ms": (0.1, 20_000), "p99_ms": (0.1, 20_000)}),
        ("plain", 20, {"used_percent": (0.1, 101), "seconds": (0.1, 120)}),
        ("critical", 6_000, {"p50_ms": (0.1, 20_000), "low_claimed_before_it": (0, 0)}),
        ("sockets", 100, {"p99_ms": (0.1, 60_000), "saw_the_end": (200, 200), "most_messages_per_second": (0.1, 10.5)}),
        ("growth", 1_000, {"tasks_per_second": (1, 100_000)}),
        (
            "history",
            300,
            {"status_p99_ms": (0.1, 20_000), "search_p99_ms": (0.1, 20_000), "jsonl_rows_per_second": (1, 10**7)},
        ),
        ("idle", 1, {"percent_of_a_core": (0, 200), "memory_mb": (50, 2_000), "processes": (4, 20)}),
        ("up", 1, {"seconds": (0.5, 60), "first_seconds": (0.5, 90)}),
    ],
)
def test_workload_returns_plausible_figures(environment, workload, tasks, figures):
    done = manage("benchmark", workload, "--tasks", str(tasks), "--json", env=environment, timeout=240)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    result = answer["workloads"][workload]
    assert answer["database"] == "sqlite" and result["tasks"] == tasks
    for name, (least, most) in figures.items():
        assert least <= result[name] <= most, result
    if workload == "noop":
        assert result["tasks_per_second"] == pytest.approx(tasks / result["seconds"], rel=0.02)


def test_growth_is_plotted(environment, tmp_path):
    for database, line in (("sqlite", {"100": 2_000.0, "1000": 4_100.5}), ("postgresql", {"100": 900.0})):
        answer = {"database": database, "workloads": {"growth": {"rates": line}}}
        (tmp_path / database).write_text(json.dumps(answer))
    argv = [sys.executable, "-m", "executor.testbed.benchmark.plot", tmp_path / "sqlite", tmp_path / "postgresql"]
    drawn = subprocess.run(argv, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=60, check=True)
    root = ElementTree.fromstring(drawn.stdout)
    titles = [title.text for title in root.iter("{http://www.w3.org/2000/svg}title")]
    assert titles[1:] == [
        "SQLite: 100 tasks, 2,000 a second",
        "SQLite: 1,000 tasks, 4,100 a second",
        "PostgreSQL: 100 tasks, 900 a second",
    ]
    heights = [float(circle.get("cy")) for circle in root.iter("{http://www.w3.org/2000/svg}circle")]
    assert heights[1] < heights[0] < heights[2], "higher rates are higher"


def test_benchmark_runs_on_postgresql_and_prints_a_table(environment):
    done = manage("benchmark", "noop", "--tasks", "50", "--database", "postgresql", env=environment, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "postgresql" in done.stdout and "tasks/s" in done.stdout


def test_benchmark_leaves_the_own_data_folder_alone(environment, tmp_path):
    manage("benchmark", "noop", "--tasks", "1", env=environment, timeout=240)
    assert not (tmp_path / "mine" / "batch.sqlite3").exists()


def test_unknown_workload_is_rejected(environment):
    done = manage("benchmark", "nope", env=environment)
    assert done.returncode == 2 and "there are noop, noop5, sleep, crowd, plain, add, latency" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_all_processes_and_removes_the_folder(environment, eventually):
    before = site_folders()
    argv = [sys.executable, "manage.py", "benchmark", "sleep"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    running = subprocess.Popen(argv, cwd=PROJECT, env=environment, start_new_session=True, text=True, **pipes)
    try:
        me = psutil.Process(running.pid)
        eventually(lambda: len(me.children(recursive=True)) >= 2, timeout=60)
        made = eventually(lambda: site_folders() - before)
        children = me.children(recursive=True)
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=60)
    finally:
        running.kill()
        running.wait()
    assert running.returncode == 130 and "Stopped." in errors and "Traceback" not in errors
    assert not psutil.wait_procs(children, timeout=10)[1]
    assert not made & site_folders()


PEERS = """
import argparse, json
parser = argparse.ArgumentParser()
for word in "kwro":
    parser.add_argument(f"-{word}", nargs="*" if word == "k" else None)
arguments = parser.parse_args()
with open(arguments.o, "a") as out:
    for name in arguments.k:
        out.write(json.dumps({"name": name, "wl": arguments.w, "rate": 10.0}) + "\\n")
"""


def test_peers_are_measured_in_the_same_run(environment, tmp_path):
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "bench.py").write_text(PEERS)
    command = ("benchmark", "noop", "--tasks", "50", "--against", str(tmp_path), "--peers", "one", "two")
    done = manage(*command, "--json", env=environment, timeout=240)
    assert json.loads(done.stdout)["workloads"]["noop"]["peers"] == {"one": 10.0, "two": 10.0}, done.stderr
    assert "times as good" in manage(*command, env=environment, timeout=240).stdout
    done = manage(
        "benchmark", "noop", "--tasks", "1", "--against", str(tmp_path / "venv"), env=environment, timeout=240
    )
    assert done.returncode == 1 and "not a folder of peers" in done.stderr
