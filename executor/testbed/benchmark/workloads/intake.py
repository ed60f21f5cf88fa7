"""One call with very many tasks: its duration and memory."""

import sys
import time

import orjson

from executor.testbed.benchmark.memory import PeakMemory
from executor.testbed.benchmark.session import NOTHING, api_client, write_line


def add(tasks: int, port: str, pid: str) -> dict:
    """Add all tasks with one call of the API; measure the web process's memory."""
    client = api_client(port)
    client.post("/api/add_batch", json={"tasks": [NOTHING]}).raise_for_status()  # loads all modules
    body = orjson.dumps(
        {"name": "benchmark", "tasks": [{**NOTHING, "custom_id": f"row-{number}"} for number in range(tasks)]}
    )
    write_line(done=0, of=tasks)
    started = time.monotonic()
    with PeakMemory([int(pid)]) as memory:
        answer = client.post("/api/add_batch", content=body, headers={"Content-Type": "application/json"})
    seconds = time.monotonic() - started
    if answer.status_code != 200 or answer.json()["data"]["count"] != tasks:
        sys.exit(f"The API answered {answer.status_code}: {answer.text[:300]}")
    write_line(done=tasks, of=tasks)
    megabytes = {"idle_mb": round(memory.first / 1e6, 1), "peak_over_idle_mb": memory.growth_mb}
    return {"tasks": tasks, "seconds": round(seconds, 3), "body_mb": round(len(body) / 1e6, 1), **megabytes}
