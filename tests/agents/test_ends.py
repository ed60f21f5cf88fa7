"""Programs end with the worker that started them, however it ends."""

import pytest

from tests.agents.conftest import KEY, marks, program
from tests.support.batches import is_alive, item, run, submit
from tests.support.waiting import eventually


@pytest.mark.parametrize("deaf", [False, True])
@pytest.mark.parametrize("how", ["terminate", "kill"])
def test_programs_end_with_their_worker(how, deaf, worker, tools, tmp_path):
    path = tmp_path / "marks"
    tools.say(prog=program(path, **({"MCP_DEAF": "1"} if deaf else {})))
    one = worker(concurrency=2, env={"BATCH_AGENT_TOOLS": str(tools.path), "KEY_OF_TESTS": KEY, "BATCH_GRACE": "0.2"})
    batch = submit(item("prog.nap", seconds=60))
    napping = eventually(lambda: marks(path, "nap"), told=batch.told)
    # Of a deaf one that was started for the list of its tools, the child has ended with it already.
    pids = napping + [pid for pid in marks(path, "child") if is_alive(pid)]
    assert all(is_alive(pid) for pid in pids) and len(pids) == (2 if deaf else 1)
    getattr(one, how)()
    eventually(lambda: not any(is_alive(pid) for pid in pids), timeout=8, what="the program has ended")
    run("cancel", batch=batch.id)
