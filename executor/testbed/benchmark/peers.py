"""Other task queues, measured in the same run, so that machine and load are the same.

A folder of peers has a `bench.py`, and its Python at `venv/bin/python`. It is called as `bench.py -k NAME… -w KIND -r 1
-o FILE` and appends a line of JSON for each measurement: `name`, `wl` (the kind), and the figure. The services that the
peers need must be running.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import orjson

from executor.testbed.temporary_site import TestbedError

# Workload → kind of the peers, and the field of its figure, which has the unit of the workload.
KINDS = {"noop": ("W1", "rate"), "sleep": ("W2", "span_s"), "latency": ("W3", "p50_ms")}
TIMEOUT = 1_200.0  # seconds for one kind


def measure(folder: Path, workload: str, names: Sequence[str]) -> dict[str, float]:
    """Return the figure of each peer whose name contains one of these names, in the unit of the workload.

    Raises TestbedError.
    """
    kind, figure = KINDS[workload]
    python = folder / "venv" / "bin" / "python"
    for needed in (folder / "bench.py", python):
        if not needed.exists():
            raise TestbedError(f"{folder} is not a folder of peers: it has no {needed.relative_to(folder)}.")
    with tempfile.TemporaryDirectory() as temporary:
        found = Path(temporary) / "results.jsonl"
        argv = [str(python), "bench.py", "-w", kind, "-r", "1", "-o", str(found)]
        argv += ["-k", *names] if names else []
        environment = {**os.environ, "PYTHONPATH": str(folder)}
        try:
            done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            raise TestbedError(f"The peers took longer than {TIMEOUT:g} s for {kind}.") from None
        if done.returncode or not found.exists():
            raise TestbedError(f"The peers could not be measured:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
        lines = [orjson.loads(line) for line in found.read_bytes().splitlines()]
    return {line["name"]: round(line[figure], 3) for line in lines if line.get("wl") == kind and figure in line}
