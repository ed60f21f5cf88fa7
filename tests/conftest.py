"""Fixtures of all tests.

The tests run on SQLite, and the suites that depend on the database once more on PostgreSQL (test_postgresql.py).
BATCH_TEST_DATABASE=sqlite or BATCH_TEST_DATABASE=postgresql runs all of them on that database alone. BATCH_NO_SKIP=1
turns a skipped test into a failed one.

Tests in tests/unit and a few structural ones have the marker `unit`: they use no server and no database.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django
import pytest
import redis
from django.conf import settings

from tests.support.environment import DATABASE, ON_POSTGRESQL, Surroundings
from tests.support.processes import RunningWeb, RunningWorker
from tests.support.waiting import eventually as _eventually

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from playwright.sync_api import Browser, Page

if settings.configured:
    # Those settings may name a database that is in use, and the tests would empty it.
    raise pytest.UsageError("Run the tests without DJANGO_SETTINGS_MODULE and --ds: they set up their own settings.")
SURROUNDINGS = Surroundings()
try:
    SURROUNDINGS.enter()  # before the settings are read
    django.setup()
except BaseException:
    SURROUNDINGS.leave()
    raise

collect_ignore = ["test_postgresql.py"] if os.environ.get("BATCH_TEST_DATABASE") else []

TESTS = Path(__file__).parent
UNIT = ("unit", "test_architecture.py", "test_docs.py")  # what `pytest -m unit` runs, relative to this folder
SERVER_FIXTURES = {"db", "transactional_db", "valkey", "_valkey_server"}
LONG = ("test_postgresql.py", "test_chaos.py")  # started first, so that a run does not end with one of them alone


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return the number of test processes for `-n auto`: several for a whole run, as most tests wait most of the time.

    A run of selected paths stays in one process, in order, with `-s` and `--pdb`; so do the unit tests, which are over
    before further processes have started.
    """
    everything = config.args_source == config.ArgsSource.TESTPATHS and not _unit_only(config)
    return min(8, (os.cpu_count() or 1) + 1) if everything else 0


def _unit_only(config: pytest.Config) -> bool:
    return config.getoption("markexpr") == "unit"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Skip all other tests with `-m unit`: importing them takes longer than running the unit tests."""
    other = collection_path.parent == TESTS and collection_path.name not in UNIT
    return True if other and _unit_only(config) else None


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark unit tests, and refuse one that needs a server."""
    if item.path.relative_to(TESTS).parts[0] in UNIT:
        item.add_marker(pytest.mark.unit)
        if needs := SERVER_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            raise pytest.UsageError(f"{item.nodeid} uses {', '.join(sorted(needs))}: move it out of the unit tests.")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONG)


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("dist", "no") != "no" and not hasattr(config, "workerinput"):
        SURROUNDINGS.leave()  # this process runs no tests; each test process has its own surroundings
        return
    database = settings.DATABASES["default"]
    # The same name as in the DATABASE_URL of other processes.
    database.setdefault("TEST", {})["NAME"] = DATABASE if ON_POSTGRESQL else database["NAME"]


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """Keep pytest-django from adding a suffix per test process: each already has its own database."""


def pytest_unconfigure() -> None:
    SURROUNDINGS.leave()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = (yield).get_result()
    if report.skipped and os.environ.get("BATCH_NO_SKIP") == "1" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and BATCH_NO_SKIP=1 allows no skips: {report.longrepr[2]}"


# --- Valkey ---------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def surroundings() -> Surroundings:
    """Return the data folder, environment and Valkey of this run."""
    return SURROUNDINGS


@pytest.fixture(scope="session")
def _valkey_server(surroundings: Surroundings) -> Iterator[None]:
    surroundings.start_valkey()
    yield
    surroundings.stop_valkey()


@pytest.fixture
def valkey(_valkey_server: None, surroundings: Surroundings) -> Iterator[redis.Redis]:
    """Yield a client of this run's Valkey, which is empty and running, even after a test that ended it."""
    if surroundings.valkey_process is None or surroundings.valkey_process.poll() is not None:
        surroundings.start_valkey()
    with redis.Redis.from_url(surroundings.valkey.url) as client:
        client.flushall()
        yield client


@pytest.fixture(autouse=True)
def _empty_valkey(request: pytest.FixtureRequest) -> None:
    """Give an empty Valkey to every test but the unit tests: the product uses it in most places."""
    if not request.node.get_closest_marker("unit"):
        request.getfixturevalue("valkey")


# --- the database that other processes see ----------------------------------------------------------


@pytest.fixture
def shared_db(transactional_db: None) -> None:
    """Provide a database with real commits, for tests with workers or a web server; flush it after the test."""


@pytest.fixture
def child_environment(surroundings: Surroundings) -> dict[str, str]:
    """Return the environment of a process that works on the test's data."""
    return dict(surroundings.environment)


# --- processes --------------------------------------------------------------------------------------


@pytest.fixture
def worker(
    shared_db: None, valkey: redis.Redis, child_environment: dict[str, str], tmp_path: Path
) -> Iterator[Callable[..., RunningWorker]]:
    """Yield a function that starts workers: `worker()`, `worker(concurrency=5)`, `worker(env={"BATCH_GRACE": "1"})`."""
    started: list[RunningWorker] = []

    def start(
        *, concurrency: int = 20, env: dict[str, str] | None = None, wait: bool = True, **more: Any
    ) -> RunningWorker:
        one = RunningWorker(env={**child_environment, **(env or {})}, folder=tmp_path, concurrency=concurrency, **more)
        started.append(one)
        if wait:
            one.wait_until_active()
        return one

    yield start
    for one in started:
        one.end()


@pytest.fixture(scope="session")
def _web(
    django_db_setup: None, surroundings: Surroundings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningWeb]:
    web = RunningWeb(env=surroundings.environment, folder=tmp_path_factory.mktemp("web"))
    try:
        web.wait_until_answering()
        yield web
    finally:
        web.end()


@pytest.fixture
def live_server_url(shared_db: None, valkey: redis.Redis, _web: RunningWeb) -> str:
    """Return the address of a real Daphne on the test's database, without a slash at its end."""
    assert _web.alive, f"the web server has ended:\n{_web.log[-4000:]}"
    return _web.url


# --- users and agents ---------------------------------------------------------------------------------


@pytest.fixture
def operator(db: None) -> User:
    """Return a user with all permissions."""
    from django.contrib.auth.models import User

    return User.objects.create_superuser("operator", password="a long enough password")


@pytest.fixture
def api_token(db: None) -> str:
    """Return a bearer token with all scopes."""
    from executor.access import SCOPES, create_token

    return create_token("tests", SCOPES)[1]


# --- the browser --------------------------------------------------------------------------------------


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    """Yield the Chromium in PATH."""
    from tests.support.browser import chromium, chromium_path

    path = chromium_path()
    if not path:
        pytest.skip("no Chromium in PATH; on Debian: apt-get install chromium")
    # Playwright's event loop runs in this thread, and Django refuses the ORM in a thread with a running loop.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    with chromium(path) as running:
        yield running


@pytest.fixture
def page(browser: Browser, live_server_url: str, operator: User, _web: RunningWeb) -> Iterator[Page]:
    """Yield a page of the live site, logged in as `operator`. Problems that the browser reports fail the test."""
    from executor.access import login_link_path
    from tests.support.browser import open_page

    opened = open_page(browser, base_url=live_server_url)
    opened.goto(login_link_path(operator))
    yield opened
    assert not opened.problems, "\n".join([*opened.problems, "the end of the server's log:", _web.log[-4000:]])


# --- waiting ------------------------------------------------------------------------------------------


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """Return `eventually(condition)`, which waits for a true value and returns it."""
    return _eventually
