"""Unit tests of the page's JavaScript modules, in Chromium without a server.

Each `test(…)` in unit/*.test.js is a case, and so is each example of the formatting rules.
"""

import json
import re
from pathlib import Path

import pytest
from django.conf import settings
from playwright.sync_api import Page, Route

from executor.views.template_tags.modules import VENDOR
from executor.views.template_tags.states import states_data
from tests.support.browser import chromium, chromium_path
from tests.support.formats import CLOCKED, EXAMPLES, NOW

ORIGIN = "http://modules.test"
UNIT = Path(__file__).parent / "unit"
FOLDERS = {"static": Path(settings.BASE_DIR) / "static", "unit": UNIT}
CASES = [
    pytest.param(file.name, name, id=f"{file.name.removesuffix('.test.js')}: {name}")
    for file in sorted(UNIT.glob("*.test.js"))
    for name in re.findall(r'^test\("([^"]+)"', file.read_text(), re.MULTILINE)
]
MEDIA_TYPES = {".js": "text/javascript", ".mjs": "text/javascript"}
HTML = f"""<!doctype html><html lang="en"><title>Modules</title>
<script type="importmap">{json.dumps({"imports": {name: f"/static/{path}" for name, path in VENDOR.items()}})}</script>
<script id="states" type="application/json">{json.dumps(states_data())}</script>
<main id="main"></main>"""
RUN = """async ([file, name]) => {
  await import(`/unit/${file}`);
  await (await import("/unit/harness.js")).run(name);
}"""
FORMAT = """async ([rule, value, now]) => {
  const rules = await import("/static/executor/js/formatting.js");
  return rules[rule.replace(/_(.)/g, (_, letter) => letter.toUpperCase())](value, ...(now ? [Date.parse(now)] : []));
}"""


def serve(route: Route) -> None:
    """Answer a request from the folders of scripts and tests."""
    folder, _, name = route.request.url.removeprefix(f"{ORIGIN}/").partition("?")[0].partition("/")
    path = FOLDERS.get(folder, UNIT) / name
    if not folder:
        route.fulfill(body=HTML, content_type="text/html")
    elif folder in FOLDERS and path.is_file():
        route.fulfill(body=path.read_text(), content_type=MEDIA_TYPES[path.suffix])
    else:
        route.fulfill(status=404)


@pytest.fixture(scope="module")
def context():
    """Return a profile of Chromium in which the origin of the tests serves our files."""
    path = chromium_path()
    if not path:
        pytest.skip("no Chromium in PATH; on Debian: apt-get install chromium")
    with chromium(path) as browser:
        profile = browser.new_context()
        profile.set_default_timeout(10_000)
        profile.route(f"{ORIGIN}/**", serve)
        yield profile


@pytest.fixture
def blank(context) -> Page:
    """Return a fresh page: modules have no state from other cases."""
    page = context.new_page()
    page.goto(f"{ORIGIN}/")
    yield page
    page.close()


@pytest.mark.parametrize(("file", "name"), CASES)
def test_module(blank, file, name):
    blank.evaluate(RUN, [file, name])


@pytest.fixture(scope="module")
def shared(context) -> Page:
    """Return one page for rules without state."""
    page = context.new_page()
    page.goto(f"{ORIGIN}/")
    return page


@pytest.mark.parametrize(("rule", "value", "text"), EXAMPLES)
def test_rule_satisfies_the_shared_examples(shared, rule, value, text):
    assert shared.evaluate(FORMAT, [rule, value, NOW if rule in CLOCKED else None]) == text
