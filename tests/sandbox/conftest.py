"""Fixtures: tests that take `variant` run in every variant of this machine; afterwards nothing may be left."""

import pytest

from tests.support.waiting import eventually

from .variants import Driver, Variant, is_root, marked, offered, processes_with, python


def pytest_generate_tests(metafunc):
    if "variant" in metafunc.fixturenames:
        wanted = {
            "contained": lambda one: one.contains,
            "uncontained": lambda one: not one.contains,
            "on_disk": lambda one: one.launcher == "restricted",
        }
        marks = [mark.name for mark in metafunc.definition.iter_markers()]
        chosen = [one for one in offered() if all(wanted[mark](one) for mark in marks if mark in wanted)]
        metafunc.parametrize("variant", chosen, ids=str)


def pytest_configure(config):
    config.addinivalue_line("markers", "contained: for the levels that isolate")
    config.addinivalue_line("markers", "uncontained: for the level that does not isolate")
    config.addinivalue_line("markers", "on_disk: for launchers whose files lie in the host's file tree")


@pytest.fixture(scope="session")
def drivers():
    started: dict[str, Driver] = {}

    def of(variant: Variant) -> Driver:
        if variant.worker not in started:
            started[variant.worker] = Driver(ordinary=is_root() and variant.worker == "ordinary")
            started[variant.worker].ask(variant, {"argv": ["/bin/true"]})
        return started[variant.worker]

    yield of
    for driver in started.values():
        driver.close()


@pytest.fixture
def driver(drivers, variant) -> Driver:
    return drivers(variant)


@pytest.fixture
def contain(driver, variant):
    """Run a program: `contain(code="…")` in Python, or `contain(argv=[…])`. Nothing of it may be left afterwards."""
    before = driver.ask(variant, {"argv": ["/bin/true"]})["state"]
    marks = []

    def run(code: str = "", argv=None, cancel_after=0, times=1, **program):
        if code:
            argv = [python(), "-s", "-B", "attack.py", *(argv or [])]
            program["files"] = {**program.get("files", {}), "attack.py": {"text": code}}
        program = {"timeout": 20, "memory_mb": 256, **program, "argv": argv}
        program, mark = marked(program)
        marks.append(mark)
        return driver.ask(variant, program, cancel_after=cancel_after, times=times)

    yield run
    for mark in marks:
        eventually(lambda mark=mark: not processes_with(mark), timeout=3, what="no process is left")
    eventually(lambda: not list(driver.temp.iterdir()), timeout=3, what="no folder is left")

    def as_before():
        after = driver.ask(variant, {"argv": ["/bin/true"]})["state"]
        return after["descriptors"] == before["descriptors"] and (
            after["server_descriptors"] == before["server_descriptors"] and after["server"] == before["server"]
        )

    eventually(as_before, timeout=3, what="no descriptor is left")
