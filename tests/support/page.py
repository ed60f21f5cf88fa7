"""A page in a browser without scripts: text, tables, links to follow and forms to submit."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

from django.http import HttpResponse
from django.test import Client

VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}


@dataclass
class Node:
    """An element with its nodes and texts."""

    name: str
    attributes: dict[str, str]
    parent: Node | None = None
    inside: list[Node | str] = field(default_factory=list)

    def all(self, *names: str) -> list[Node]:
        """Return the elements of these names below this one, in order, without those in templates for scripts."""
        found = []
        for each in self.inside:
            if isinstance(each, Node) and each.name != "template":
                found += [each] if not names or each.name in names else []
                found += each.all(*names)
        return found

    def raw(self) -> str:
        return "".join(each if isinstance(each, str) else each.raw() for each in self.inside)

    @property
    def text(self) -> str:
        return " ".join(self._words())

    def _words(self) -> list[str]:
        words = []
        for each in self.inside:
            if isinstance(each, str):
                words += each.split()
            elif each.name not in ("script", "template", "style"):
                words += each._words()
        return words

    def has_class(self, name: str) -> bool:
        return name in self.attributes.get("class", "").split()

    def above(self, name: str) -> Node | None:
        node = self.parent
        while node is not None and node.name != name:
            node = node.parent
        return node


class _Reader(HTMLParser):
    """A parser that fails on elements that are not closed."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.root = self.here = Node("", {})

    def handle_starttag(self, tag, attrs):
        node = Node(tag, {name: value or "" for name, value in attrs}, self.here)
        self.here.inside.append(node)
        if tag not in VOID:
            self.here = node

    def handle_startendtag(self, tag, attrs):
        self.here.inside.append(Node(tag, {name: value or "" for name, value in attrs}, self.here))

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        assert self.here.name == tag, f"</{tag}> closes <{self.here.name}>"
        self.here = self.here.parent

    def handle_data(self, data):
        self.here.inside.append(data)


def joined(page_url: str, address: str) -> str:
    """Return the target of a link. Unlike urljoin, a browser takes "?" for an empty query."""
    return page_url.partition("?")[0] if address == "?" else urljoin(page_url, address)


class Form:
    """A form of the page and the values that it submits."""

    def __init__(self, node: Node, page_url: str):
        self.node = node
        self.method = node.attributes.get("method", "get").lower()
        self.action = joined(page_url, node.attributes.get("action", ""))
        self.buttons = node.all("button")

    def values(self) -> dict[str, list[str]]:
        """Return the values by name."""
        found: dict[str, list[str]] = {}
        for node in self.node.all("input", "select", "textarea"):
            name, kind = node.attributes.get("name"), node.attributes.get("type", "text")
            if not name or kind in ("submit", "file") or "disabled" in node.attributes:
                continue
            if kind in ("checkbox", "radio"):
                if "checked" in node.attributes:
                    found.setdefault(name, []).append(node.attributes.get("value", "on"))
            else:
                found.setdefault(name, []).append(value_of(node))
        return found


def value_of(node: Node) -> str:
    """Return the value of an input, a select or a text area."""
    if node.name == "textarea":
        return node.raw()
    if node.name == "select":
        options = node.all("option")
        chosen = next((option for option in options if "selected" in option.attributes), None) or options[0]
        return chosen.attributes.get("value", chosen.text)
    return node.attributes.get("value", "")


class Page:
    """A page and the client that received it."""

    def __init__(self, client: Client, response: HttpResponse):
        self.client, self.response = client, response
        self.source = response.content.decode()
        self.url = response.request["PATH_INFO"] + (f"?{query}" if (query := response.request["QUERY_STRING"]) else "")
        reader = _Reader()
        reader.feed(self.source)
        assert reader.here is reader.root, f"<{reader.here.name}> is not closed"
        self.root = reader.root

    # --- contents

    @property
    def text(self) -> str:
        return self.root.text

    @property
    def heading(self) -> str:
        [heading] = self.root.all("h1")
        return heading.text

    @property
    def title(self) -> str:
        return self.root.all("title")[0].text

    @property
    def messages(self) -> list[str]:
        return [node.text for node in self.root.all("li") if node.has_class("message")]

    @property
    def links(self) -> dict[str, str]:
        return {node.text: joined(self.url, node.attributes.get("href", "")) for node in self.root.all("a")}

    def rows(self, table: str) -> list[str]:
        """Return the texts of the rows of the table with this class."""
        found = [node for node in self.root.all("table") if node.has_class(table)]
        return [row.text for node in found for body in node.all("tbody") for row in body.all("tr")]

    def counts(self) -> dict[str, str]:
        return {node.attributes["data-status"]: node.all("b")[0].text for node in self._counts()}

    def current_counts(self) -> list[str]:
        return [node.attributes["data-status"] for node in self._counts() if "aria-current" in node.attributes]

    def _counts(self) -> list[Node]:
        return [node for node in self.root.all("a") if node.has_class("count")]

    def preview(self) -> dict[str, tuple[int, int]]:
        """Return the numbers of deleted and kept tasks by status, from the page for clearing."""
        rows = (row.split() for row in self.rows("plain"))
        return {status: (int(deleted), int(kept)) for status, deleted, kept in rows}

    def json(self, name: str) -> object:
        [node] = [node for node in self.root.all("script") if node.attributes.get("id") == name]
        return json.loads(node.raw())

    @property
    def scripts(self) -> list[tuple[dict[str, str], str]]:
        return [(node.attributes, node.raw()) for node in self.root.all("script")]

    @property
    def inline_styles(self) -> list[str]:
        return [node.name for node in self.root.all() if node.name == "style" or "style" in node.attributes]

    @property
    def inline_handlers(self) -> list[str]:
        return [name for node in self.root.all() for name in node.attributes if re.fullmatch(r"on\w+", name)]

    # --- forms

    @property
    def forms(self) -> list[Form]:
        return [Form(node, self.url) for node in self.root.all("form")]

    def names(self, name: str) -> list[Node]:
        return [node for node in self.root.all("input", "select", "textarea") if node.attributes.get("name") == name]

    def value(self, name: str) -> str:
        shown = [node for node in self.names(name) if node.attributes.get("type") != "hidden"]
        return value_of(shown[0])

    def error_of(self, name: str) -> str:
        """Return the errors beside a field."""
        node = self.names(name)[0]
        while not node.has_class("field"):
            node = node.parent
        return " ".join(each.text for each in node.all("p") if each.has_class("error-text"))

    def _button(self, text: str) -> Node:
        found = [node for node in self.root.all("button") if node.text.startswith(text) and self._visible(node)]
        exact = [node for node in found if node.text == text]
        assert found, f"no button {text!r} on {self.url}: {[node.text for node in self.root.all('button')]}"
        return (exact or found)[0]

    def _visible(self, node: Node | None) -> bool:
        while node is not None:
            if "hidden" in node.attributes:
                return False
            node = node.parent
        return True

    def has_button(self, text: str) -> bool:
        return any(node.text == text and self._visible(node) for node in self.root.all("button"))

    def is_disabled(self, text: str) -> bool:
        return "disabled" in self._button(text).attributes

    def submit(self, *, button: str, status: int = 200, force: bool = False, **given) -> Page:
        """Fill in a form, press a button (`force`: also a disabled one), and return the next page."""
        pressed = self._button(button)
        assert force or "disabled" not in pressed.attributes, f"{button!r} is disabled"
        form = Form(pressed.above("form"), self.url)
        values = form.values()
        for name, value in given.items():
            assert any(node.attributes.get("name") == name for node in form.node.all()), f"no field {name!r}"
            values[name] = ["1"] if value is True else value if isinstance(value, list) else [value]
        if "name" in pressed.attributes:
            values[pressed.attributes["name"]] = [pressed.attributes.get("value", "")]
        url = (
            joined(self.url, pressed.attributes.get("formaction", ""))
            if "formaction" in pressed.attributes
            else form.action
        )
        if form.method == "get":
            return self._next(self.client.get(url.partition("?")[0], values, follow=True), status)
        return self._next(self.client.post(url, values, follow=True), status)

    def post(self, url: str, **given) -> HttpResponse:
        """Send a forged form with the page's token."""
        token = self.names("csrfmiddlewaretoken")[0].attributes["value"]
        return self.client.post(url, {"csrfmiddlewaretoken": token, **given})

    def follow(self, link: str) -> Page:
        return self._next(self.client.get(self.links[link], follow=True))

    def follow_count(self, status: str) -> Page:
        [node] = [node for node in self._counts() if node.attributes["data-status"] == status]
        return self._next(self.client.get(joined(self.url, node.attributes["href"])))

    def _next(self, response: HttpResponse, status: int = 200) -> Page:
        assert response.status_code == status, f"{response.status_code}: {response.content[:2000].decode()}"
        return Page(self.client, response)
