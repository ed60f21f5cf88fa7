"""A Chromium that is installed on this machine, driven by Playwright."""

import contextlib
import os
import shutil
from collections.abc import Iterator

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium_path() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextlib.contextmanager
def chromium(path: str) -> Iterator[Browser]:
    arguments = ["--disable-dev-shm-usage"] + (["--no-sandbox"] if os.geteuid() == 0 else [])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments, timeout=30_000)
        try:
            yield browser
        finally:
            browser.close()


def open_page(browser: Browser, **context) -> Page:
    """A page in a fresh profile. `page.problems` fills with what the browser complains about: script errors and
    refusals of the content security policy."""
    profile: BrowserContext = browser.new_context(**context)
    profile.set_default_timeout(10_000)
    page = profile.new_page()
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("console", lambda message: _is_complaint(message) and page.problems.append(_told(message)))
    return page


def _is_complaint(message) -> bool:
    # Chromium asks for /favicon.ico on pages that name no icon, such as those of Django's admin.
    return message.type == "error" and not message.location.get("url", "").endswith("/favicon.ico")


def _told(message) -> str:
    return f"{message.text} ({message.location.get('url', '')})"
