"""Scripts without a bundler: a page names its entry module, and everything that it imports is asked for at once.

Otherwise the browser would find out about each import only when it has read the module that needs it.
"""

from __future__ import annotations

import posixpath
import re
from functools import lru_cache
from pathlib import Path

from django import template
from django.conf import settings
from django.contrib.staticfiles import finders
from django.templatetags.static import static

register = template.Library()

_IMPORT = re.compile(r'(?:^|;)import\b[^;"]*"([^"]+)"', re.MULTILINE)

# The bare names of the import map, in the order in which they need each other.
VENDOR = {
    "preact": "vendor/preact-11.2.0.mjs",
    "preact/hooks": "vendor/preact-hooks-11.2.0.mjs",
    "htm": "vendor/htm-3.1.1.mjs",
    "@preact/signals": "vendor/preact-signals-2.11.4.mjs",
    "@preact/signals-core": "vendor/preact-signals-core-1.14.5.mjs",
}


@register.inclusion_tag("executor/_module.html")
def module(entry: str) -> dict:
    """The script element of an entry module, and a preload for each module below it."""
    needed = _below(entry) if not settings.DEBUG else _below.__wrapped__(entry)
    return {"entry": static(entry), "needed": [static(name) for name in needed]}


@register.inclusion_tag("executor/_import_map.html", takes_context=True)
def import_map(context: dict) -> dict:
    """What the bare names in our modules stand for."""
    imports = {name: static(path) for name, path in VENDOR.items()}
    return {"imports": imports, "nonce": context["request"].csp_nonce}


@lru_cache
def _below(entry: str) -> list[str]:
    """Every module that `entry` imports, directly or not."""
    found: dict[str, None] = {}
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        path = finders.find(name)
        for asked in _IMPORT.findall(Path(path).read_text()) if path else ():
            target = VENDOR.get(asked) or posixpath.normpath(posixpath.join(posixpath.dirname(name), asked))
            if target not in found and target != entry:
                found[target] = None
                waiting.append(target)
    return list(found)
