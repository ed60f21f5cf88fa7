"""The command: runs the tests without each guard, and prints a table."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import django

from executor.processes.layout import PROJECT
from tests.support.environment import Surroundings

if TYPE_CHECKING:
    from tests.mutation.guards import Mutation

TIMEOUT = 600  # seconds; for the tests of one mutation


def main(words: list[str]) -> int:
    mutations = load_mutations()
    chosen = {name: each for name, each in mutations.items() if not words or any(word in name for word in words)}
    for tests in sorted({each.tests for each in chosen.values()}):
        done = run(tests)
        if done.returncode:  # failing tests prove nothing
            raise SystemExit(f"{tests} fails with all guards in place:\n{done.stdout[-3000:]}{done.stderr[-2000:]}")
    print(f"{'guard':<46} {'tests':<34} {'without it':<11} seconds", flush=True)
    noticed = 0
    for name, each in chosen.items():
        began = time.monotonic()
        done = run(each.tests, mutation=name)
        if done.returncode not in (0, 1):  # neither passed nor failed: nothing was tested
            raise SystemExit(f"{name}: the tests did not run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        noticed += done.returncode
        failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        first = failed[0].partition("::")[2].split(" - ")[0] if failed else ""
        verdict = "fail" if done.returncode else "PASS"
        print(f"{name:<46} {each.tests:<34} {verdict:<11} {time.monotonic() - began:.1f}  {first}", flush=True)
    print(f"{noticed} of {len(chosen)} were noticed")
    return int(noticed < len(chosen))


def load_mutations() -> dict[str, Mutation]:
    """Return the mutations. They change the product's modules, which need settings."""
    surroundings = Surroundings()
    surroundings.enter()
    try:
        django.setup()
        from tests.mutation.guards import MUTATIONS

        return MUTATIONS
    finally:
        surroundings.leave()


def run(tests: str, mutation: str = "") -> subprocess.CompletedProcess[str]:
    """Run a test file, up to its first failure."""
    argv = [sys.executable, "-m", "pytest", "-x", "-n0", "-p", "no:cacheprovider", "--tb=line", tests]
    environment = {**os.environ, "BATCH_TEST_MUTATION": mutation}
    return subprocess.run(argv, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=TIMEOUT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
