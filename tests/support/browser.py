"""The Chromium installed on this machine, driven by Playwright."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium_path() -> str | None:
    """Return the path of Chromium, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextlib.contextmanager
def chromium(path: str) -> Iterator[Browser]:
    """Run a headless browser."""
    arguments = ["--disable-dev-shm-usage"] + (["--no-sandbox"] if os.geteuid() == 0 else [])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments, timeout=30_000)
        try:
            yield browser
        finally:
            browser.close()


def open_page(browser: Browser, **context: Any) -> Page:
    """Return a page in a fresh profile; `page.problems` collects script errors and violations of the policy."""
    profile: BrowserContext = browser.new_context(**context)
    profile.set_default_timeout(10_000)
    page = profile.new_page()
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("console", lambda message: _is_problem(message) and page.problems.append(_text(message)))
    return page


def _is_problem(message: ConsoleMessage) -> bool:
    # Chromium requests /favicon.ico on pages without an icon, such as those of the admin.
    return message.type == "error" and not message.location.get("url", "").endswith("/favicon.ico")


def _text(message: ConsoleMessage) -> str:
    return f"{message.text} ({message.location.get('url', '')})"
