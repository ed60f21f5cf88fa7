"""A stand-in for a worker, without Django: it reads programs as JSON lines, runs them and writes their results.

Any interpreter and any user can start it:

python driver.py FOLDER_WITH_EXECUTOR
"""

import asyncio
import dataclasses
import json
import os
import sys

sys.path.insert(0, sys.argv[1])

from executor.sandbox import server
from executor.sandbox.run import Program, run


def memory() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


async def answer(order: dict) -> dict:
    lengths = []
    call = asyncio.create_task(
        run(Program(**order["program"]), order["launcher"], order["user"], lambda text: lengths.append(len(text)))
    )
    if order.get("cancel_after"):
        await asyncio.sleep(order["cancel_after"])
        call.cancel()
    try:
        finished = dataclasses.asdict(await call)
    except asyncio.CancelledError:
        finished = {"ended": "cancelled"}
    except Exception as error:
        finished = {"ended": "error", "error": repr(error)}
    return {**finished, "output_length": sum(lengths)}


async def main() -> None:
    await asyncio.to_thread(server.start)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        many = await asyncio.gather(*[answer(order) for _ in range(order.get("times", 1))])
        state = {
            "descriptors": len(os.listdir("/proc/self/fd")),
            "server_descriptors": len(os.listdir(f"/proc/{server.pid()}/fd")),
            "server": server.pid(),
            "memory": memory(),
        }
        sys.stdout.write(json.dumps({**many[0], "all": many[1:], "state": state}) + "\n")
        sys.stdout.flush()


asyncio.run(main())
