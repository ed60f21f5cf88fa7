"""Every mutation finds the guard that it removes, so that a run of the mutation tests proves something."""

import subprocess
import sys

from executor.processes.layout import PROJECT
from tests.mutation.guards import MUTATIONS

# Each runs in its own child process, which removes the guard and ends.
APPLY_EACH = """
import os, sys
import django
django.setup()
from tests.mutation.guards import apply
for name in sys.argv[1:]:
    if os.fork() == 0:
        try:
            apply(name)
        except BaseException as error:
            print(f"{name}: {error}", flush=True)
        os._exit(0)
    os.wait()
"""


def test_every_mutation_finds_its_guard() -> None:
    assert len(MUTATIONS) == 17
    argv = [sys.executable, "-c", APPLY_EACH, *MUTATIONS]
    done = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
