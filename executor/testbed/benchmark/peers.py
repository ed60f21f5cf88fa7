"""Other queues, measured beside ours in the same run, so that the machine and its moment are the same.

A folder of peers has a `bench.py` and its Python at `venv/bin/python`. It is called as `bench.py -k NAME… -w KIND -r 1
-o FILE` and appends a line of JSON a measurement: `name`, `wl` (the kind), and the figure. The services that the peers
need must run already.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import orjson

from executor.testbed.installation import CannotGoOn

# Our workload → theirs, and the field of its figure, which has the same unit as ours.
KINDS = {"noop": ("W1", "rate"), "sleep": ("W2", "span_s"), "latency": ("W3", "p50_ms")}
LIMIT = 1_200.0  # seconds for one kind


def measure(folder: Path, workload: str, names: Sequence[str]) -> dict[str, float]:
    """The figure of each peer whose name contains one of these words, in the unit of our workload.

    Raises CannotGoOn.
    """
    kind, figure = KINDS[workload]
    python = folder / "venv" / "bin" / "python"
    for needed in (folder / "bench.py", python):
        if not needed.exists():
            raise CannotGoOn(f"{folder} is no folder of peers: there is no {needed.relative_to(folder)} in it.")
    with tempfile.TemporaryDirectory() as temporary:
        found = Path(temporary) / "results.jsonl"
        argv = [str(python), "bench.py", "-w", kind, "-r", "1", "-o", str(found)]
        argv += ["-k", *names] if names else []
        environment = {**os.environ, "PYTHONPATH": str(folder)}
        try:
            done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            raise CannotGoOn(f"The peers took longer than {LIMIT:g} s for {kind}.") from None
        if done.returncode or not found.exists():
            raise CannotGoOn(f"The peers could not be measured:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
        lines = [orjson.loads(line) for line in found.read_bytes().splitlines()]
    return {line["name"]: round(line[figure], 3) for line in lines if line.get("wl") == kind and figure in line}
