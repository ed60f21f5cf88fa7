"""Programs end with the worker that started them, after SIGTERM and after SIGKILL."""

from tests.agents.conftest import KEY, marks, program
from tests.support.batches import is_alive, item, run, submit
from tests.support.waiting import eventually


def test_programs_that_ignore_signals_end_with_their_worker(worker, tools, tmp_path):
    path = tmp_path / "marks"
    tools.configure(prog=program(path))
    env = {"BATCH_AGENT_TOOLS": str(tools.path), "KEY_OF_TESTS": KEY, "BATCH_GRACE": "0.2"}
    terminated, killed = (worker(concurrency=1, env=env, wait=False) for _ in range(2))
    for one in (terminated, killed):
        one.wait_until_active()
    batch = submit(*[item("prog.nap", seconds=60, deaf=True) for _ in range(2)])  # one per worker
    eventually(lambda: len(marks(path, "nap")) == 2, timeout=60, describe=batch.describe)
    pids = marks(path, "nap") + marks(path, "child")
    assert len(set(pids)) == 4 and all(is_alive(pid) for pid in pids)
    terminated.terminate(timeout=None)
    killed.kill()
    eventually(lambda: not any(is_alive(pid) for pid in pids), timeout=60, what="the programs have ended")
    run("cancel", batch=batch.id)
