"""Whose pages may open a socket."""

import pytest

from executor.web.origins import is_ours


@pytest.fixture(autouse=True)
def _hosts(settings):
    settings.ALLOWED_HOSTS = ["tasks.example", "127.0.0.1", "[::1]"]


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("https://tasks.example", "tasks.example"),
        ("https://tasks.example", "tasks.example:443"),
        ("http://tasks.example:80", "tasks.example"),
        ("http://[::1]:8000", "[::1]:8000"),
    ],
)
def test_a_page_of_this_site_may(origin, host):
    assert is_ours(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://127.0.0.1:9", "127.0.0.1:8000"),
        ("http://127.0.0.1", "127.0.0.1:8000"),
        ("https://tasks.example.evil.example", "tasks.example"),
        ("ftp://tasks.example", "tasks.example"),
        ("null", "tasks.example"),
        ("http://tasks.example:port", "tasks.example"),
        ("http://tasks.example", ""),
        ("http://rebound.example", "rebound.example"),  # a name that leads here, but that nobody gave us
        ("", "tasks.example"),
    ],
)
def test_no_other_page_may(origin, host):
    assert not is_ours(origin, host)


def test_a_site_that_is_trusted_by_name_may(settings):
    settings.CSRF_TRUSTED_ORIGINS = ["https://front.example"]
    assert is_ours("https://front.example", "127.0.0.1:8000")
