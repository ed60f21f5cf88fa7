"""The same-origin check of WebSockets."""

import pytest

from executor.web.origins import is_same_origin


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
def test_page_of_this_site_is_accepted(origin, host):
    assert is_same_origin(origin, host)


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
        (
            "http://rebound.example",
            "rebound.example",
        ),  # DNS rebinding: not in ALLOWED_HOSTS
        ("", "tasks.example"),
    ],
)
def test_page_of_another_site_is_rejected(origin, host):
    assert not is_same_origin(origin, host)


def test_trusted_origin_is_accepted(settings):
    settings.CSRF_TRUSTED_ORIGINS = ["https://front.example"]
    assert is_same_origin("https://front.example", "127.0.0.1:8000")
