"""How long one call with very many tasks takes, and how much memory."""

import sys
import time

import orjson

from executor.testbed.benchmark.memory import Peak
from executor.testbed.benchmark.session import NOTHING, agent, tell


def add(tasks: int, port: str, pid: str) -> dict:
    """One call with all tasks; how long it takes, and how much memory the web process needs for it."""
    client = agent(port)
    client.post("/api/add_batch", json={"tasks": [NOTHING]}).raise_for_status()  # everything is loaded after this
    body = orjson.dumps(
        {"name": "benchmark", "tasks": [{**NOTHING, "custom_id": f"row-{number}"} for number in range(tasks)]}
    )
    tell(done=0, of=tasks)
    started = time.monotonic()
    with Peak([int(pid)]) as memory:
        answer = client.post("/api/add_batch", content=body, headers={"Content-Type": "application/json"})
    seconds = time.monotonic() - started
    if answer.status_code != 200 or answer.json()["data"]["count"] != tasks:
        sys.exit(f"the API answered {answer.status_code}: {answer.text[:300]}")
    tell(done=tasks, of=tasks)
    megabytes = {"idle_mb": round(memory.first / 1e6, 1), "peak_over_idle_mb": memory.over}
    return {"tasks": tasks, "seconds": round(seconds, 3), "body_mb": round(len(body) / 1e6, 1), **megabytes}
