"""The sources of the pages: nothing bypasses the escaping of texts or the content security policy."""

import re
from pathlib import Path

import pytest
from django.conf import settings

SITE = Path(settings.BASE_DIR)
TEMPLATES = sorted((SITE / "templates").rglob("*.html"))
SCRIPTS = sorted((SITE / "static/executor/js").rglob("*.js"))

UNSAFE_MARKUP = {
    "|safe": r"\|\s*safe(seq)?\b",
    "autoescape off": r"autoescape\s+off",
    "an inline style": r"\sstyle\s*=|<style\b",
    "an inline handler": r"""\son\w+\s*=\s*["'{]""",
    "a javascript: link": r"javascript:",
    "a script without a nonce": r"<script(?![^>]*\b(src|nonce)=)[^>]*>",
}
UNSAFE_SCRIPT = {
    "innerHTML and similar": r"\b((inner|outer|insertAdjacent)HTML|dangerouslySet|srcdoc|setHTMLUnsafe)",
    "document.write": r"\bdocument\.write",
    "parsing of HTML": r"\b(DOMParser|createContextualFragment|parseHTMLUnsafe)\b",
    "evaluation of text": r"\beval\(|\bnew Function\b|set(Timeout|Interval)\(\s*[\"'`]",
}


def found(pattern: str, files: list[Path]) -> list[str]:
    """Return the places of a pattern, with the line."""
    return [
        f"{file.relative_to(SITE)}:{number}: {line.strip()[:100]}"
        for file in files
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if re.search(pattern, line)
    ]


def test_sources_are_found():
    assert len(TEMPLATES) > 20 and len(SCRIPTS) > 20


@pytest.mark.parametrize("pattern", UNSAFE_MARKUP.values(), ids=UNSAFE_MARKUP)
def test_templates_do_not_contain(pattern):
    assert found(pattern, TEMPLATES) == []


@pytest.mark.parametrize("pattern", UNSAFE_SCRIPT.values(), ids=UNSAFE_SCRIPT)
def test_scripts_do_not_contain(pattern):
    assert found(pattern, SCRIPTS) == []


def test_python_code_does_not_mark_texts_as_safe():
    assert found(r"\bmark_safe\b|SafeString\(|\bis_safe\s*=", sorted((SITE / "executor").rglob("*.py"))) == []


@pytest.mark.parametrize(
    ("bad", "names"),
    [
        ("{{ task.name|safe }}", "|safe"),
        ("{{ task.name | safe }}", "|safe"),
        ('<p style="color: red">', "an inline style"),
        ('<button onclick="go()">', "an inline handler"),
        ("<script>go()</script>", "a script without a nonce"),
        ('<script type="module">go()</script>', "a script without a nonce"),
    ],
)
def test_patterns_find_planted_markup(bad, names):
    assert re.search(UNSAFE_MARKUP[names], bad)
    assert not re.search(
        UNSAFE_MARKUP[names], '<script type="module" src="/x.js"></script> {{ x|safely }} <a href="?on=1">'
    )
