"""How long one call with very many tasks takes, and how much memory."""

import sys
import threading
import time

import orjson
import psutil

from executor.benchmark.session import NOTHING, agent, tell


def add(tasks: int, port: str, pid: str) -> dict:
    """One call with all tasks; how long it takes, and how much memory the web process needs for it."""
    web = psutil.Process(int(pid))
    client = agent(port)
    client.post("/api/add_batch", json={"tasks": [NOTHING]}).raise_for_status()  # everything is loaded after this
    body = orjson.dumps(
        {"name": "benchmark", "tasks": [{**NOTHING, "custom_id": f"row-{number}"} for number in range(tasks)]}
    )
    idle = peak = web.memory_info().rss
    ended = threading.Event()

    def look() -> None:
        nonlocal peak
        while not ended.wait(0.01):
            peak = max(peak, web.memory_info().rss)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    tell(done=0, of=tasks)
    started = time.monotonic()
    answer = client.post("/api/add_batch", content=body, headers={"Content-Type": "application/json"})
    seconds = time.monotonic() - started
    ended.set()
    looking.join()
    if answer.status_code != 200 or answer.json()["data"]["count"] != tasks:
        sys.exit(f"the API answered {answer.status_code}: {answer.text[:300]}")
    tell(done=tasks, of=tasks)
    megabytes = {"idle_mb": round(idle / 1e6, 1), "peak_over_idle_mb": round((peak - idle) / 1e6, 1)}
    return {"tasks": tasks, "seconds": round(seconds, 3), "body_mb": round(len(body) / 1e6, 1), **megabytes}
