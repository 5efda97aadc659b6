"""Somebody who looks at pages and sends their forms, as a browser without JavaScript does.

    page = browser.get("/products/128743")
    page = browser.submit(page, "add-to-cart", quantity="2")     # filled in as it was rendered
    assert page.location == "/products/128743"

Nothing is followed by itself: a redirect is an answer like any other.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from typing import Any, Final

import httpx
from flask import Flask, Response, request
from werkzeug.test import Client, TestResponse

_VOID: Final = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
    ]
)
_PASSED_ON: Final = frozenset({"content-type", "location", "retry-after", "set-cookie"})
_PATIENCE_SECONDS: Final = 60
_NOT_SENT: Final = frozenset({"submit", "button", "reset", "image", "file"})


@dataclass
class Element:
    """One element of a page, with what is in it."""

    tag: str
    attributes: dict[str, str]
    children: list["Element"] = field(default_factory=list, repr=False)
    texts: list[str] = field(default_factory=list, repr=False)

    def __getitem__(self, attribute: str) -> str:
        return self.attributes[attribute]

    def all(self) -> Iterator["Element"]:
        """This element and everything in it, in the order of the page."""
        waiting = [self]
        while waiting:
            element = waiting.pop()
            yield element
            waiting.extend(reversed(element.children))

    @property
    def text(self) -> str:
        """What people read in it, with single spaces."""
        return " ".join(" ".join(piece for each in self.all() for piece in each.texts).split())

    def find(self, testid: str) -> list["Element"]:
        """Everything in it with this test id."""
        return [each for each in self.all() if each.attributes.get("data-testid") == testid]

    def with_tag(self, tag: str) -> list["Element"]:
        """Everything in it with this tag."""
        return [each for each in self.all() if each.tag == tag]


class _Tree(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("#page", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag in (element.tag for element in self._open[1:]):
            while self._open.pop().tag != tag:
                pass

    def handle_data(self, data: str) -> None:
        self._open[-1].texts.append(data)


@dataclass
class Page:
    """An answer: its status and headers, and its HTML as a tree."""

    path: str
    response: TestResponse

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def location(self) -> str | None:
        """Where the answer leads, if it leads anywhere."""
        return self.response.headers.get("Location")

    @property
    def html(self) -> str:
        return self.response.text

    @cached_property
    def root(self) -> Element:
        """The page as a tree."""
        return _tree_of(self.html)

    def has(self, testid: str) -> bool:
        return bool(self.root.find(testid))

    def all(self, testid: str) -> list[Element]:
        return self.root.find(testid)

    def one(self, testid: str) -> Element:
        """The element with this test id, which is there once."""
        found = self.root.find(testid)
        assert len(found) == 1, f"{len(found)} elements with the test id {testid} at {self.path}"
        return found[0]

    def text(self, testid: str) -> str:
        return self.one(testid).text

    @property
    def title(self) -> str:
        return self.root.with_tag("title")[0].text

    @property
    def headline(self) -> str:
        return self.root.with_tag("h1")[0].text

    @property
    def notices(self) -> list[str]:
        """What the store tells the visitor above the page, once."""
        return [notice.text for notice in self.root.find("notice")]

    def form_of(self, testid: str, *, nth: int = 0) -> "Form":
        """The form in which the nth control with this test id is."""
        where = f"{self.path} ({self.status})"
        return _form_of(self.root, testid, path=self.path, nth=nth, where=where)


@dataclass
class Form:
    """A form as it was rendered, ready to be sent."""

    method: str
    action: str
    fields: list[tuple[str, str]]

    @classmethod
    def read(cls, form: Element, button: Element, path: str) -> "Form":
        fields = [pair for control in form.all() for pair in _sent_by(control)]
        if "name" in button.attributes and button.tag == "button":
            fields.append((button["name"], button.attributes.get("value", "")))
        action = form.attributes.get("action") or path
        return cls(form.attributes.get("method", "get").upper(), action, fields)

    def with_values(self, values: Mapping[str, str | None]) -> "Form":
        """Filled in differently; None leaves a field out."""
        kept = [(name, value) for name, value in self.fields if name not in values]
        given = [(name, value) for name, value in values.items() if value is not None]
        return Form(self.method, self.action, kept + given)

    def __getitem__(self, name: str) -> str:
        return dict(self.fields)[name]


def _sent_by(control: Element) -> Iterable[tuple[str, str]]:
    name = control.attributes.get("name")
    if not name:
        return
    if control.tag == "input" and control.attributes.get("type") not in _NOT_SENT:
        is_box = control.attributes.get("type") in {"checkbox", "radio"}
        if not is_box or "checked" in control.attributes:
            yield name, control.attributes.get("value", "on" if is_box else "")
    elif control.tag == "select":
        options = control.with_tag("option")
        chosen = [option for option in options if "selected" in option.attributes] or options[:1]
        for option in chosen:
            yield name, option.attributes.get("value", option.text)


def form_in(html: str, testid: str, path: str) -> Form:
    """The form in which a control is, of a page that came by other means."""
    return _form_of(_tree_of(html), testid, path=path, nth=0, where=path)


def _tree_of(html: str) -> Element:
    tree = _Tree()
    tree.feed(html)
    return tree.root


def _form_of(root: Element, testid: str, *, path: str, nth: int, where: str) -> Form:
    forms = [form for form in root.with_tag("form") if form.find(testid)]
    assert len(forms) > nth, f"no form with {testid} at {where}"
    return Form.read(forms[nth], forms[nth].find(testid)[0], path)


class Browser:
    """A browser: it keeps cookies, and sends the same headers with every request.

    Args:
        base_url: scheme, Host and port of the store.
        headers: sent with every request.
    """

    def __init__(
        self,
        app: Flask,
        *,
        base_url: str = "http://localhost",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.client: Client = app.test_client()
        self.base_url = base_url
        self.headers = dict(headers or {})

    def open(self, path: str, *, method: str = "GET", **options: Any) -> Page:
        """Any request at all; options are those of Werkzeug's EnvironBuilder."""
        headers = {**self.headers, **options.pop("headers", {})}
        options.setdefault("base_url", self.base_url)
        response = self.client.open(path, method=method, headers=headers, buffered=True, **options)
        return Page(path, response)

    def get(self, path: str, **headers: str) -> Page:
        """Look at a page. Headers are written as names: sec_purpose="prefetch"."""
        named = {name.replace("_", "-").title(): value for name, value in headers.items()}
        return self.open(path, headers=named)

    def send(self, form: Form) -> Page:
        """Send a form as it is."""
        data: dict[str, list[str]] = {}
        for name, value in form.fields:
            data.setdefault(name, []).append(value)
        if form.method == "GET":
            return self.open(form.action, query_string=data)
        return self.open(form.action, method="POST", data=data)

    def submit(self, page: Page, testid: str, **values: str | None) -> Page:
        """Fill in the form around a button, and click it."""
        return self.send(page.form_of(testid).with_values(values))

    def follow(self, page: Page) -> Page:
        """Go where an answer leads."""
        assert page.status in (302, 303), f"{page.path} answered {page.status}: {page.html[:200]}"
        assert page.location is not None
        return self.get(page.location)

    def cookie(self, name: str) -> str | None:
        """The value of a cookie, if the browser has it."""
        cookie = self.client.get_cookie(name, domain=self.base_url.split("/")[2].split(":")[0])
        return None if cookie is None else cookie.value


def over_tcp(address: str) -> Flask:
    """A store in another process, for a Browser: each request goes there by a connection of its own."""
    app = Flask(__name__, static_folder=None)

    @app.route("/", defaults={"path": ""}, methods=["GET", "POST"])
    @app.route("/<path:path>", methods=["GET", "POST"])
    def pass_on(path: str) -> Response:
        answer = httpx.request(
            request.method,
            f"{address}/{path}?{request.query_string.decode()}",
            headers={name: value for name, value in request.headers if name != "Host"},
            content=request.get_data(),
            trust_env=False,
            timeout=_PATIENCE_SECONDS,
        )
        headers = [pair for pair in answer.headers.multi_items() if pair[0] in _PASSED_ON]
        return Response(answer.content, answer.status_code, headers)

    return app
