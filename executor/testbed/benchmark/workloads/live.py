"""Many pages that watch one busy batch."""

from __future__ import annotations

import asyncio
import sys
import time

import psutil

from executor.testbed.benchmark.page import Watcher, session_cookie, stream_url
from executor.testbed.benchmark.session import execute, percentile, write_line

WATCHERS = 200
LOW_LOAD = {"function": "simulate", "params": {"duration": 0.1}, "max_retries": 0}
CONCURRENCY = 56  # tasks of 0.1 s: some 500 a second, each with two changes


def sockets(tasks: int, port: str, pid: str) -> dict:
    """Measure the age of messages at 200 clients, and the web process's processor time."""
    batch_id = execute("add_batch", tasks=[LOW_LOAD] * tasks, name="watched")["batch_id"]
    watchers = [Watcher() for _ in range(WATCHERS)]
    web = psutil.Process(int(pid))
    seconds, used = asyncio.run(_watch(watchers, stream_url(port, batch_id), session_cookie(), batch_id, web))
    lags = [lag for watcher in watchers for lag in watcher.lags]
    return {
        "tasks": tasks,
        "p99_ms": round(percentile(lags, 99), 1),
        "p50_ms": round(percentile(lags, 50), 1),
        "most_messages_per_second": round(max(watcher.messages for watcher in watchers) / seconds, 1),
        "changes_per_second": round(2 * tasks / seconds),
        "web_percent_of_a_core": round(100 * used / seconds, 1),
        "saw_the_end": sum(watcher.saw_end for watcher in watchers),
    }


async def _watch(
    watchers: list[Watcher], url: str, cookie: str, batch_id: str, web: psutil.Process
) -> tuple[float, float]:
    """Return the seconds from the batch's start to its end, and the processor seconds of the web process."""
    watching = [asyncio.create_task(watcher.watch(url, cookie)) for watcher in watchers]
    while any(not watcher.messages for watcher in watchers):
        await asyncio.sleep(0.05)
        if broken := next((task for task in watching if task.done()), None):
            broken.result()
            sys.exit("A socket was closed before its first message.")
    started, before = time.monotonic(), sum(web.cpu_times()[:2])
    await asyncio.to_thread(execute, "start", batch=batch_id, max_concurrent=CONCURRENCY)
    while not all(task.done() for task in watching):
        write_line(done=sum(watcher.saw_end for watcher in watchers), of=len(watchers))
        await asyncio.wait(watching, timeout=0.5)
    return time.monotonic() - started, sum(web.cpu_times()[:2]) - before
