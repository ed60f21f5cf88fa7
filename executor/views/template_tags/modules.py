"""Scripts without a bundler: a page names its entry module, and all modules below it are preloaded.

Otherwise the browser would discover each import only after loading the module that needs it.
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

# The bare names of the import map, in the order of their imports.
VENDOR = {
    "preact": "vendor/preact-11.2.0.mjs",
    "preact/hooks": "vendor/preact-hooks-11.2.0.mjs",
    "htm": "vendor/htm-3.1.1.mjs",
    "@preact/signals": "vendor/preact-signals-2.11.4.mjs",
    "@preact/signals-core": "vendor/preact-signals-core-1.14.5.mjs",
}


@register.inclusion_tag("executor/_module.html")
def module(entry: str) -> dict:
    """Return the script element of an entry module, and a preload for each module below it."""
    modules = _below(entry) if not settings.DEBUG else _below.__wrapped__(entry)
    return {"entry": static(entry), "modules": [static(name) for name in modules]}


@register.inclusion_tag("executor/_import_map.html", takes_context=True)
def import_map(context: dict) -> dict:
    """Return the import map: the files of the bare names in our modules."""
    imports = {name: static(path) for name, path in VENDOR.items()}
    return {"imports": imports, "nonce": context["request"].csp_nonce}


@lru_cache
def _below(entry: str) -> list[str]:
    """Return all modules that `entry` imports, directly or not."""
    found: dict[str, None] = {}
    unread = [entry]
    while unread:
        name = unread.pop()
        path = finders.find(name)
        for imported in _IMPORT.findall(Path(path).read_text()) if path else ():
            target = VENDOR.get(imported) or posixpath.normpath(posixpath.join(posixpath.dirname(name), imported))
            if target not in found and target != entry:
                found[target] = None
                unread.append(target)
    return list(found)
