"""Fixtures of all tests. They run on SQLite, and a part of them again on PostgreSQL; BATCH_TEST_DATABASE=sqlite or
BATCH_TEST_DATABASE=postgresql runs them all on that one alone, BATCH_NO_SKIP=1 makes a skipped test a failed one."""

import os

import django
import pytest
import redis
from django.conf import settings
from django.db import connection, transaction
from django.test import TransactionTestCase

from tests.support.browser import chromium, chromium_path, open_page
from tests.support.environment import DATABASE, ON_POSTGRESQL, Surroundings
from tests.support.processes import RunningWeb, RunningWorker
from tests.support.waiting import eventually as _eventually

if settings.configured:
    # The settings name somebody's real database then, and the tests would empty it.
    raise pytest.UsageError("Run the tests without DJANGO_SETTINGS_MODULE and --ds: they set up their own settings.")
SURROUNDINGS = Surroundings()
try:
    SURROUNDINGS.enter()  # before the settings are read
    django.setup()
except BaseException:
    SURROUNDINGS.leave()
    raise

# Who names the database runs the tests on that one alone.
collect_ignore = ["test_postgresql.py"] if os.environ.get("BATCH_TEST_DATABASE") else []


LONG = ("test_postgresql.py", "test_chaos.py")  # begun first: everything else is over before they are


def pytest_xdist_auto_num_workers(config) -> int:
    """All tests run in several processes, because most of them wait most of the time. A few run in one, as one wants it
    at work: with `-s`, `--pdb` and everything in order."""
    everything = config.args_source == config.ArgsSource.TESTPATHS
    return min(8, (os.cpu_count() or 1) + 1) if everything else 0


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in LONG)


def pytest_configure(config):
    if config.getoption("dist", "no") != "no" and not hasattr(config, "workerinput"):
        SURROUNDINGS.leave()  # this process runs no test; each of those that do has surroundings of its own
        return
    database = settings.DATABASES["default"]
    # The tests' database has the very name that other processes find in DATABASE_URL.
    database.setdefault("TEST", {})["NAME"] = DATABASE if ON_POSTGRESQL else database["NAME"]


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """No other names for other processes: each has a database of its own."""


def pytest_unconfigure(config):
    SURROUNDINGS.leave()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.skipped and os.environ.get("BATCH_NO_SKIP") == "1" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and BATCH_NO_SKIP=1 allows no skips: {report.longrepr[2]}"


# --- Valkey ---------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def surroundings() -> Surroundings:
    """The run's data folder, environment and Valkey."""
    return SURROUNDINGS


@pytest.fixture(scope="session", autouse=True)
def _valkey_server(surroundings):
    surroundings.start_valkey()
    yield
    surroundings.stop_valkey()


@pytest.fixture(autouse=True)
def valkey(_valkey_server, surroundings):
    """A client of the run's Valkey. It is empty before each test, and running, whatever the last test did to it."""
    if surroundings.valkey_process.poll() is not None:
        surroundings.start_valkey()
    with redis.Redis.from_url(surroundings.valkey.url) as client:
        client.flushall()
        yield client


# --- the database that other processes see ----------------------------------------------------------

# What the migrations made: no test changes it, and to make it anew after each test would take most of the tests' time.
KEPT = {"django_migrations", "django_content_type", "auth_permission", "auth_group", "auth_group_permissions"}


def _empty(self) -> None:
    names = set(connection.introspection.django_table_names(only_existing=True, include_views=False)) - KEPT
    with transaction.atomic(), connection.cursor() as cursor:
        for name in sorted(names):
            cursor.execute(f'DELETE FROM "{name}"')


TransactionTestCase._fixture_teardown = _empty


@pytest.fixture
def shared_db(transactional_db):
    """A database whose commits are real, for tests with workers or a web server. It is emptied after the test."""
    return transactional_db


@pytest.fixture
def child_environment(surroundings) -> dict[str, str]:
    """The environment in which a process works on the test's data."""
    return dict(surroundings.environment)


# --- processes --------------------------------------------------------------------------------------


@pytest.fixture
def worker(shared_db, valkey, child_environment, tmp_path):
    """Start workers as real processes: `worker()`, `worker(concurrency=5)`, `worker(env={"BATCH_GRACE": "1"})`."""
    started: list[RunningWorker] = []

    def start(*, concurrency: int = 20, env: dict[str, str] | None = None, wait: bool = True, **more) -> RunningWorker:
        one = RunningWorker(env={**child_environment, **(env or {})}, folder=tmp_path, concurrency=concurrency, **more)
        started.append(one)
        if wait:
            one.wait_until_active()
        return one

    yield start
    for one in started:
        one.end()


@pytest.fixture(scope="session")
def _web(django_db_setup, surroundings, tmp_path_factory):
    web = RunningWeb(env=surroundings.environment, folder=tmp_path_factory.mktemp("web"))
    try:
        web.wait_until_answering()
        yield web
    finally:
        web.end()


@pytest.fixture
def live_server_url(shared_db, valkey, _web) -> str:
    """The address of a real Daphne on the test's database, without a slash at its end."""
    assert _web.alive, f"the web server has ended:\n{_web.log[-4000:]}"
    return _web.url


# --- people and agents --------------------------------------------------------------------------------


@pytest.fixture
def operator(db):
    """A user who may do everything."""
    from django.contrib.auth.models import User

    return User.objects.create_superuser("operator", password="a long enough password")


@pytest.fixture
def api_token(db) -> str:
    """A bearer token with all scopes."""
    from executor.access import SCOPES, create_token

    return create_token("tests", SCOPES)[1]


# --- the browser --------------------------------------------------------------------------------------


@pytest.fixture
def browser(monkeypatch):
    """Chromium, from PATH."""
    path = chromium_path()
    if not path:
        pytest.skip("no Chromium in PATH; on Debian: apt-get install chromium")
    # Playwright's event loop runs in this thread, by which Django would refuse the ORM to the test.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    with chromium(path) as running:
        yield running


@pytest.fixture
def page(browser, live_server_url, operator, _web):
    """A page of the live site, logged in as `operator`. The test fails if the browser complained about anything."""
    from executor.access import login_link_path

    opened = open_page(browser, base_url=live_server_url)
    opened.goto(login_link_path(operator))
    yield opened
    assert not opened.problems, "\n".join([*opened.problems, "the server said last:", _web.log[-4000:]])


# --- waiting ------------------------------------------------------------------------------------------


@pytest.fixture
def eventually():
    """`eventually(condition, timeout=10)`: wait until the condition gives something true, and return that."""
    return _eventually
