"""Who may do what, and what browsers may do with our answers."""

import re
from collections.abc import Iterator
from dataclasses import replace
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urljoin, urlsplit

import pytest
from sqlalchemy import delete, select, update
from werkzeug.routing import Rule

from higgs_shop import tables
from higgs_shop.shop import carts
from tests.api.browsing import Browser, Form, Page
from tests.api.conftest import ARRIVING, LOOKING, OpenStore, Store
from tests.api.journeys import (
    BALL,
    PASSWORD,
    TEE,
    add_to_cart,
    begin_checkout,
    buy,
    identity_state,
    reach_review,
    sign_in,
    sign_out,
    sign_up,
)

CHANGING: Final = {"POST", "PUT", "DELETE", "PATCH"}
# Something right for every field there is, so that nothing but the token is wrong.
FIELDS: Final = {
    "product_id": BALL,
    "quantity": "2",
    "answer": "button",
    "name": "Mallory",
    "email": "mallory@example.com",
    "phone": "",
    "address": "1 Way",
    "city": "Town",
    "state": "NY",
    "zip": "1",
    "country": "US",
    "card_number": "4242 4242 4242 4242",
    "expiry": "12 / 34",
    "cvc": "123",
    "checkout_id": "1",
    "user_id": "shared_device_user",
    "password": PASSWORD,
    "token": "let me look",
    "id": "kiosk",
    "identity_strategy": "profile_link",
    "preset": "failing",
    "status": "500",
    "delay_ms": "0",
    "form_token": "0123456789abcdefABCDEF",
}


def rules(store: Store, methods: set[str]) -> Iterator[Rule]:
    """The routes that answer one of these methods."""
    for rule in store.app.url_map.iter_rules():
        if (rule.methods or set()) & methods:
            yield rule


def path_of(rule: Rule, **arguments: Any) -> str:
    """An address of this route."""
    wanted = {name: arguments.get(name, "1") for name in rule.arguments}
    return re.sub(r"<(?:[^:<>]*:)?(\w+)>", lambda found: str(wanted[found[1]]), rule.rule)


def let_look(visitor: Browser) -> None:
    """Past the door of the operator pages."""
    door = visitor.get("/operator")
    assert visitor.submit(door, "operator-enter", token="let me look").status == 303


@pytest.fixture
def busy_store(open_store: OpenStore) -> Store:
    return open_store(operator_token="let me look")


@pytest.fixture
def shopper(busy_store: Store) -> Browser:
    """Signed in, with an order, a line in the cart and a checkout about to be placed."""
    shopper = busy_store.browser()
    sign_in(shopper)
    buy(shopper)
    add_to_cart(shopper)
    reach_review(shopper)
    return shopper


def token_of(page: Page) -> str:
    """The CSRF token of a page with a form."""
    return next(
        field["value"]
        for field in page.root.with_tag("input")
        if field.attributes.get("name") == "csrf_token"
    )


def changing_paths(store: Store) -> list[tuple[str, str]]:
    """Method and path of every route that changes something and is meant for a browser."""
    line_id = store.rows("cart_lines")[-1]["id"]
    return [
        (method, path_of(rule, line_id=line_id))
        for rule in rules(store, CHANGING)
        # The API of the inbox has a rule of its own, which test_inbox_api.py proves.
        if not rule.endpoint.startswith(("inbox_receiver.", "inbox_api."))
        for method in sorted((rule.methods or set()) & CHANGING)
    ]


def test_every_route_that_changes_something_wants_a_token_of_this_very_visit(
    busy_store: Store, shopper: Browser
) -> None:
    stale = token_of(shopper.get("/account"))
    sign_out(shopper)
    sign_in(shopper)
    foreign = token_of(busy_store.browser().get("/products/128743"))
    tokens = {
        "none": None,
        "empty": "",
        "another browser's": foreign,
        "from before signing in": stale,
        "cut short": token_of(shopper.get("/account"))[:-1],
        "unsigned": "0123456789abcdef",
    }
    paths = changing_paths(busy_store)
    assert len(paths) >= 14
    before = busy_store.dump(without=ARRIVING)
    for method, path in paths:
        for kind, token in tokens.items():
            data = FIELDS if token is None else {**FIELDS, "csrf_token": token}
            page = shopper.open(path, method=method, data=data)
            assert page.status == 400, f"{method} {path} with a token: {kind}"
            header = {"X-CSRFToken": token or ""}
            assert shopper.open(path, method=method, data=FIELDS, headers=header).status == 400
        stranger = busy_store.browser()
        assert stranger.open(path, method=method, data=FIELDS).status == 400
    assert busy_store.dump(without=ARRIVING) == before


def test_a_right_token_from_another_site_is_refused(busy_store: Store, shopper: Browser) -> None:
    right = {**FIELDS, "csrf_token": token_of(shopper.get("/account"))}
    before = busy_store.dump(without=LOOKING)
    for method, path in changing_paths(busy_store):
        for origin in ("https://evil.example", "null", "http://localhost.evil.example", "http://["):
            page = shopper.open(path, method=method, data=right, headers={"Origin": origin})
            assert page.status == 400, (path, origin)
    assert busy_store.dump(without=LOOKING) == before


def test_every_form_wants_its_one_time_token(busy_store: Store, shopper: Browser) -> None:
    let_look(shopper)
    before = busy_store.dump(without=LOOKING)
    for method, path in changing_paths(busy_store):
        if path == "/operator":
            continue  # changes nothing that is stored
        for form_token in ("", "short", "x" * 65, "not a token, but long enough"):
            data = {
                **FIELDS,
                "email": f"{len(form_token)}@example.com",
                "csrf_token": token_of(shopper.get("/account")),
                "form_token": form_token,
            }
            assert shopper.open(path, method=method, data=data).status == 400, (path, form_token)
    assert busy_store.dump(without=LOOKING) == before


def test_nothing_is_changed_by_looking(busy_store: Store, shopper: Browser) -> None:
    let_look(shopper)
    number = busy_store.rows("orders")[0]["number"]
    line_id = busy_store.rows("cart_lines")[-1]["id"]
    arguments = {"number": number, "product_id": BALL, "line_id": line_id, "item": "cart"}
    before = busy_store.dump(without=LOOKING)
    paths = [
        path_of(rule, filename="css/base.css", **arguments)
        for rule in rules(busy_store, {"GET"})
        if rule.endpoint != "inbox.show_request"
    ]
    assert len(paths) >= 18
    for path in [*paths, "/?category=Toys", "/checkout?step=shipping", "/go/shop?once=0123456789"]:
        for visitor in (shopper, busy_store.browser()):
            for method in ("GET", "HEAD", "OPTIONS"):
                assert visitor.open(path, method=method).status in (200, 302, 303, 401, 404), path
    assert busy_store.dump(without=LOOKING) == before


def test_a_get_does_not_sign_out_or_change_the_cart(store: Store, visitor: Browser) -> None:
    sign_in(visitor)
    add_to_cart(visitor)
    for rule in rules(store, CHANGING):
        if "GET" not in (rule.methods or set()):
            path = path_of(rule, line_id=1)
            visitor.get(path)
    page = visitor.get("/account")
    assert identity_state(page) == "known"
    assert page.text("cart-count") == "1"


def cookies_of(page: Page) -> dict[str, Any]:
    """The cookies that an answer sets, with their attributes."""
    found: dict[str, Any] = {}
    for line in page.response.headers.getlist("Set-Cookie"):
        found.update(SimpleCookie(line))
    return found


def test_cookies_in_production(open_store: OpenStore) -> None:
    store = open_store(
        environment="production",
        idsync_key="shop-key",
        idsync_secret="a secret of our own",
        secret_key="k" * 48,
        operator_token="let me look",
        trusted_hosts=("shop.example",),
    )
    visitor = store.browser()
    operator = visitor.submit(visitor.get("/operator"), "operator-enter", token="let me look")
    found = {**cookies_of(store.browser().get("/")), **cookies_of(operator)}
    assert set(found) == {"__Host-higgs_visit", "__Host-higgs_device", "__Host-higgs_operator"}
    for name, cookie in found.items():
        assert cookie["secure"], name
        assert cookie["samesite"] == "Lax", name
        assert cookie["path"] == "/", name
        assert cookie["domain"] == "", name
        # The device's stamp is for scripts to read: it is no secret.
        assert bool(cookie["httponly"]) == (name != "__Host-higgs_device"), name
    assert int(found["__Host-higgs_visit"]["max-age"]) == 30 * 86_400
    assert int(found["__Host-higgs_device"]["max-age"]) == 365 * 86_400


def test_cookies_stay_small_with_a_hundred_lines_in_the_cart(production: Store) -> None:
    visitor = production.browser()
    visitor.get("/")
    (visit,) = production.rows("visits")
    variants = [
        (product, product.choose(color, size))
        for product in production.parts.catalog.products
        for color in product.colors or ("",)
        for size in product.sizes or ("",)
    ][:100]
    assert len(variants) == 100
    with production.parts.database.write() as connection:
        for product, variant in variants:
            carts.add(
                connection,
                production.parts.workspace_id,
                visit_id=visit["id"],
                product=product,
                variant=variant,
                quantity=99,
                now_ms=1,
            )
    page = visitor.get("/cart")
    assert len(page.all("cart-line")) == 100
    add_to_cart(visitor)
    page = sign_up(visitor)
    assert page.text("cart-count") == "9901"
    cookies = [visitor.cookie(f"__Host-higgs_{name}") for name in ("visit", "device")]
    assert sum(len(cookie or "") for cookie in cookies) < 100
    assert None not in cookies


def with_cookie(store: Store, name: str, value: str) -> Browser:
    """A browser with somebody's copied cookie."""
    thief = store.browser()
    thief.client.set_cookie(name, value, domain="localhost")
    return thief


def test_a_copied_cookie_opens_nothing_after_signing_out(store: Store, visitor: Browser) -> None:
    sign_in(visitor)
    number = buy(visitor)
    add_to_cart(visitor)
    copied = visitor.cookie("higgs_visit")
    assert copied is not None
    assert identity_state(with_cookie(store, "higgs_visit", copied).get("/account")) == "known"
    sign_out(visitor)
    thief = with_cookie(store, "higgs_visit", copied)
    page = thief.get("/account")
    assert page.headline == "Sign in"
    assert identity_state(page) == "anonymous"
    assert page.text("cart-count") == "0"
    assert thief.get(f"/orders/{number}").status == 404
    assert thief.cookie("higgs_visit") != copied


def test_a_cookie_from_before_signing_in_does_not_sign_in_anybody(
    store: Store, visitor: Browser
) -> None:
    visitor.get("/")
    planted = visitor.cookie("higgs_visit")
    assert planted is not None
    sign_in(visitor)
    assert with_cookie(store, "higgs_visit", planted).get("/account").headline == "Sign in"


def test_a_cookie_of_a_removed_account_is_nobodys(store: Store, visitor: Browser) -> None:
    customer_id = sign_up(visitor).text("customer-id")
    copied = visitor.cookie("higgs_visit")
    assert copied is not None
    with store.parts.database.write() as connection:
        connection.execute(
            delete(tables.customers).where(tables.customers.c.customer_id == customer_id)
        )
    for browser in (visitor, with_cookie(store, "higgs_visit", copied)):
        assert browser.get("/account").headline == "Sign in"
        assert browser.get("/account/profile").location == "/account?next=/account/profile"


def test_visit_cookie_and_csrf_token_change_at_sign_in_and_sign_out(
    store: Store, visitor: Browser
) -> None:
    seen = []

    def remember() -> None:
        (visit,) = store.rows("visits")
        seen.append((visitor.cookie("higgs_visit"), visit["cookie_session"]["csrf_token"]))

    visitor.get("/")
    remember()
    sign_in(visitor)
    remember()
    sign_out(visitor)
    remember()
    sign_up(visitor)
    remember()
    assert all(len(set(values)) == 4 for values in zip(*seen, strict=True))
    assert len({visitor.cookie("higgs_device")}) == 1


def test_a_csrf_token_from_before_is_refused_after_signing_in(visitor: Browser) -> None:
    old = visitor.get(f"/products/{BALL}").form_of("add-to-cart")
    sign_in(visitor)
    page = visitor.send(old)
    assert page.status == 400
    assert page.headline == "Please send that again"


def test_planted_session_keys_are_dropped_at_sign_in_and_out(
    store: Store, visitor: Browser
) -> None:
    def plant() -> None:
        (visit,) = store.rows("visits")
        planted = {**visit["cookie_session"], "is_admin": True, "_user_id": "shared_device_user"}
        with store.parts.database.write() as connection:
            connection.execute(update(tables.visits).values(cookie_session=planted))

    visitor.get("/")
    plant()
    assert visitor.get("/account").headline == "Sign in"
    sign_in(visitor)
    (visit,) = store.rows("visits")
    assert set(visit["cookie_session"]) == {"csrf_token", "_user_id", "_fresh", "_id"}
    assert visit["cookie_session"]["_user_id"] == "returning_user"
    plant()
    assert visitor.get("/account").headline == "Sign in"  # the visit's row says otherwise
    visitor.get("/account")
    sign_in(visitor)
    sign_out(visitor)
    (visit,) = store.rows("visits")
    assert set(visit["cookie_session"]) == {"csrf_token"}


def test_a_remember_cookie_signs_nobody_in(store: Store) -> None:
    for value in ("returning_user|0", "returning_user|" + "0" * 128, "é|é", "|", "", "x|ü"):
        thief = with_cookie(store, "remember_token", value)
        assert thief.get("/account").headline == "Sign in", value
        sign_in(thief)


ELSEWHERE: Final = [
    "//e.example",
    "///e.example",
    "////e.example",
    "//e.example/%2f..",
    "/\\e.example",
    "\\\\e.example",
    "\\/e.example",
    "/\\/e.example",
    "/\t/e.example",
    "\t//e.example",
    "/\n/e.example",
    "/\r/e.example",
    "/\r\nLocation: //e.example",
    "/account\r\nSet-Cookie: a=b",
    "/%0d%0aSet-Cookie:a=b\r\n",
    " //e.example",
    " /account",
    "\x00//e.example",
    "\x01//e.example",
    "\x1f//e.example",
    "/\x7f/e.example",
    "\x85//e.example",
    "\xa0//e.example",
    "\u3000//e.example",
    "\ufeff//e.example",
    "http://e.example",
    "https://e.example",
    "HTTPS://E.EXAMPLE",
    "https:e.example",
    "https:/e.example",
    "https:///e.example",
    "http:\\\\e.example",
    "ftp://e.example",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)",
    "mailto:a@e.example",
    "user@e.example",
    "//user@e.example",
    "//user:pass@localhost@e.example",
    "//localhost@e.example",
    "//[::1",
    "//[::1]",
    "http://[",
    "http://localhost@e.example",
    "http://localhost.e.example",
    "e.example",
    "e.example/account",
    "account",
    "./account",
    "../account",
    "?next=//e.example",
    "#//e.example",
    ":80",
    "//:80",
    "///",
    "//",
    "",
    "／／e.example",
    "/／e.example\\",
    "𝒽ttps://e.example",
]
HERE: Final = [
    "/account/profile",
    "/cart?a=b#c",
    "/",
    "/%09/e.example",
    "/%2f%2fe.example",
    "/@e.example",
    "/.//e.example/..",
    "/orders/H-0000-0000",
    "/ünïcode",
    "/search?q=https://e.example",
]


def where_a_browser_goes(location: str) -> str:
    """The host that a browser would ask: it strips controls and takes backslashes for slashes."""
    stripped = re.sub(r"[\t\r\n]", "", location.strip("".join(map(chr, range(33)))))
    return urlsplit(urljoin("http://localhost/account", stripped.replace("\\", "/"))).netloc


def check_where_it_leads(answer: Page, target: str, *, default: str) -> None:
    assert answer.status == 303, repr(target)
    assert answer.location is not None
    assert answer.location.startswith("/"), repr(target)
    assert where_a_browser_goes(answer.location) == "localhost", repr(target)
    if target in ELSEWHERE:
        assert answer.location == default, repr(target)
    elif target.isascii():
        assert answer.location == target
    assert not any("a=b" in cookie for cookie in answer.response.headers.getlist("Set-Cookie"))


def test_next_leads_to_a_page_of_this_store_and_nowhere_else(shopper: Browser) -> None:
    for target in ELSEWHERE[::6] + HERE[::3]:
        assert shopper.open("/account", query_string={"next": target}).status == 200
        form = shopper.get("/account").form_of("sign-out")
        form.action = "/account/sign-in"
        answer = shopper.send(
            form.with_values({"user_id": "returning_user", "password": PASSWORD, "next": target})
        )
        check_where_it_leads(answer, target, default="/account")


def test_next_of_the_operators_form_is_checked_too(busy_store: Store) -> None:
    assert len(ELSEWHERE) >= 60
    operator = busy_store.browser()
    for target in ELSEWHERE + HERE:
        page = operator.open("/operator", query_string={"next": target})
        answer = operator.submit(page, "operator-enter", token="let me look", next=target)
        check_where_it_leads(answer, target, default="/inbox")


FOREIGN_HOSTS: Final = [
    "evil.example",
    "localhost.evil.example",
    "evil.example:8000",
    "localhost:evil",
    "localhost:80:80",
    "localhost:",
    "localhost:99999",
    "localhost:-1",
    "localhost:80@evil.example",
    "evil.example@localhost",
    "user:pass@localhost",
    "localhost/../evil.example",
    "localhost/evil",
    "localhost?evil",
    "localhost#evil",
    "localhost\\evil",
    "local host",
    " localhost",
    "localhost ",
    "localhost\t",
    "",
    ".",
    ":",
    ":8000",
    "localhost.",
    ".localhost",
    "[::1",
    "::1",
    "[::1]]",
    "[::1]evil.example",
    "[::ffff:127.0.0.1]",
    "[]",
    "[x]",
    "127.0.0.2",
    "127.1",
    "2130706433",
    "0x7f.0.0.1",
    "0.0.0.0",  # noqa: S104 (to be refused)
    "localhost,evil.example",
    "localhost\x00evil.example",
    "löcalhost",
    "ｌocalhost",
    "xn--lcalhost-n4a",
    "<script>alert(1)</script>",
    "%6cocalhost",
    "x" * 5_000,
]


@pytest.mark.parametrize("path", ["/", "/static/css/base.css", "/healthz", "/nothing", "/x-ray"])
def test_an_unknown_host_is_refused_and_nothing_is_built_from_it(store: Store, path: str) -> None:
    before = store.dump()
    for host in FOREIGN_HOSTS:
        page = store.browser().open(path, environ_overrides={"HTTP_HOST": host})
        assert page.status == 400, host
        if len(host) > 5:
            assert host not in page.html, host
        assert "Set-Cookie" not in page.response.headers
    assert store.dump() == before


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://evil.example/about", 400),
        ("http://localhost:99/about", 400),
        ("http://[::1/about", 400),
        ("*", 400),
        ("http://localhost/about", 200),
        ("/about?next=http://evil.example/", 200),
    ],
)
def test_a_request_line_that_names_another_host_is_refused(
    store: Store, target: str, status: int
) -> None:
    page = store.browser().open("/about", environ_overrides={"REQUEST_URI": target})
    assert page.status == status


def test_the_identity_service_serves_no_unknown_host_either(store: Store) -> None:
    for host in FOREIGN_HOSTS:
        page = store.browser().open(
            "/identity/v1/identify",
            method="POST",
            json={"environment": "development", "known_identities": {}},
            headers={"x-mp-key": "demo-web-key"},
            environ_overrides={"HTTP_HOST": host},
        )
        assert page.status == 400, host
    assert store.rows("identity_decisions") == []


def test_our_own_names_are_served_with_any_port(store: Store) -> None:
    for host in ("localhost", "LocalHost:8000", "127.0.0.1:1", "[::1]", "[::1]:8000"):
        page = store.browser().open("/about", environ_overrides={"HTTP_HOST": host})
        assert page.status == 200, host


def test_a_forwarded_host_is_believed_only_behind_a_proxy(open_store: OpenStore) -> None:
    direct = open_store()
    page = direct.browser(**{"X-Forwarded-Host": "evil.example"}).get("/")
    assert page.status == 200
    assert "evil.example" not in page.html
    proxied = open_store(proxy_hops=1)
    for hosts, status in (
        ("evil.example", 400),
        ("localhost, evil.example", 400),
        ("evil.example, localhost", 200),
    ):
        assert proxied.browser(**{"X-Forwarded-Host": hosts}).get("/").status == status


class BrokenCatalog:
    """Fails at whatever is asked of it."""

    def __getattr__(self, name: str) -> Any:
        raise ZeroDivisionError(name)


def every_kind_of_answer(store: Store) -> Iterator[Page]:
    """An answer of each status and each part of the store."""
    visitor = store.browser()
    for path in ("/", "/about", "/static/css/base.css", "/healthz", "/readyz", "/go/shop"):
        yield visitor.get(path)
    yield visitor.get("/nothing")
    yield visitor.get("/static/nothing.css")
    yield visitor.get("/products/1")
    yield visitor.open("/cart/lines", method="PUT")
    yield visitor.open("/cart/lines", method="POST", data=FIELDS)
    yield visitor.open("/cart/lines", method="POST", data={"name": "x" * 70_000})
    yield visitor.open("/", environ_overrides={"HTTP_HOST": "evil.example"})
    form = visitor.get(f"/products/{BALL}").form_of("add-to-cart")
    yield visitor.send(form)
    yield visitor.send(form.with_values({"quantity": "3"}))
    yield visitor.send(form.with_values({"quantity": "none"}))
    yield visitor.open("/identity/v1/identify", method="POST", data=b"{")
    yield visitor.open("/identity/v1/nothing")
    yield visitor.open("/identity")
    yield visitor.open("/inbox/nobodys", method="POST", data=b"{}")
    token = store.parts.secrets.inbox_token
    yield visitor.open(f"/inbox/{token}", method="POST", data=b"{}")
    yield visitor.open(f"/inbox/{token}")
    yield visitor.open("/", method="OPTIONS")


def check_headers(page: Page, *, secure: bool) -> None:
    headers = page.response.headers
    where = f"{page.response.request.method} {page.path}: {page.status}"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy, where
    assert "frame-ancestors 'none'" in policy, where
    assert "unsafe" not in policy, where
    assert len(headers.getlist("Content-Security-Policy")) == 1, where
    assert headers["X-Content-Type-Options"] == "nosniff", where
    assert headers["Referrer-Policy"] == "strict-origin-when-cross-origin", where
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin", where
    assert ("Strict-Transport-Security" in headers) == secure, where
    assert "Server" not in headers, where
    if not page.path.startswith("/static/") or page.status >= 400:
        assert headers["Cache-Control"] == "no-store", where
    if headers["Content-Type"].startswith("text/html"):
        assert "Cookie" in headers["Vary"], where


def test_every_answer_carries_the_headers(open_store: OpenStore) -> None:
    def break_catalog(parts: Any) -> Any:
        return replace(parts, catalog=BrokenCatalog())

    store = open_store()
    pages = list(every_kind_of_answer(store))
    broken = open_store(before_serving=break_catalog)
    pages.append(broken.browser().get("/"))
    assert {page.status for page in pages} >= {
        200,
        204,
        302,
        303,
        400,
        404,
        405,
        409,
        413,
        422,
        500,
    }
    for page in pages:
        check_headers(page, secure=False)


def test_over_https_every_answer_says_to_stay_there(production: Store) -> None:
    for page in every_kind_of_answer(production):
        check_headers(page, secure=True)


def test_a_page_that_fails_says_so_and_no_more(open_store: OpenStore) -> None:
    broken = open_store(before_serving=lambda parts: replace(parts, catalog=BrokenCatalog()))
    page = broken.browser().get("/")
    assert page.status == 500
    assert page.headline == "Something broke"
    assert "ZeroDivision" not in page.html
    assert "Traceback" not in page.html


def test_each_answer_has_a_nonce_of_its_own_for_its_own_scripts(visitor: Browser) -> None:
    nonces = []
    for path in ("/", "/cart", "/nothing", "/", "/x-ray"):
        page = visitor.get(path)
        (nonce,) = set(
            re.findall(r"'nonce-([^']+)'", page.response.headers["Content-Security-Policy"])
        )
        scripts = page.root.with_tag("script")
        assert scripts
        assert {script["nonce"] for script in scripts} == {nonce}
        assert all(script["src"].startswith("/static/") for script in scripts)
        assert not [each for each in page.root.all() if "style" in each.attributes]
        nonces.append(nonce)
    assert len(set(nonces)) == len(nonces)
    assert min(map(len, nonces)) >= 22  # 128 bits in base64


SEEDS: Final = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "<svg><script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "' autofocus onfocus='alert(1)",
    "` onclick=`alert(1)",
    "</textarea><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</pre></code><iframe src=//e.example>",
    "<!--<script>alert(1)//-->",
    "--><script>alert(1)</script>",
    "<a href=javascript:alert(1)>x</a>",
    "{{7777*7777}}{% raw %}<b>",
    "${7777*7777}#{7777*7777}<b>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<math><mtext></form><form><mglyph>",
    "\u2028<b onclick=alert(1)>\u202e",
    "<style>*{display:none}</style>",
    "]]><script>alert(1)</script>",
]


def skeleton(page: Page) -> list[tuple[str, tuple[str, ...]]]:
    """The page's elements with the names of their attributes, without any text."""
    return [(each.tag, tuple(sorted(each.attributes))) for each in page.root.all()]


def pages_with(store: Store, texts: list[str]) -> Iterator[Page]:
    """Every page on which somebody's text can come up, with all of these in every field of it."""
    everything = " ".join(texts)
    header = everything.encode("ascii", "replace").decode()
    visitor = store.browser(**{"User-Agent": header, "Referer": header})
    yield from answers_with(visitor, everything)
    sign_up(visitor, name=texts[0])
    for number, text in enumerate(texts):
        page = visitor.get("/account/profile")
        visitor.submit(page, "save-profile", name=text, email=f"{number}@example.com")
    add_to_cart(visitor)
    yield from form_answers_with(visitor, everything)
    visitor.submit(visitor.get("/checkout"), "continue-to-review")
    yield from pages_of_stored(store, visitor, everything)
    yield from inbox_pages_with(store, visitor, everything)


def answers_with(visitor: Browser, text: str) -> Iterator[Page]:
    """Answers to a stranger."""
    yield visitor.open("/", query_string={"category": text})
    yield visitor.open("/account", query_string={"next": text})
    yield visitor.open("/x-ray/fragment", query_string={"page": text})
    yield visitor.open(f"/nothing/{quote(text, safe='')}")
    page = visitor.get("/account")
    yield visitor.submit(page, "sign-in", user_id=text, password=text, next=text)
    page = visitor.get("/account/sign-up")
    yield visitor.submit(page, "sign-up", name=text, email=text, phone=text)


def form_answers_with(visitor: Browser, text: str) -> Iterator[Page]:
    """Answers to a customer's mistakes."""
    page = visitor.get("/account/profile")
    yield visitor.submit(page, "save-profile", name=text, email=text, phone=text)
    page = visitor.get(f"/products/{TEE}")
    yield visitor.submit(page, "add-to-cart", color=text, size=text, quantity=text)
    yield visitor.follow(visitor.submit(visitor.get("/cart"), "cart-item-update", quantity=text))
    page = begin_checkout(visitor)
    typed = dict.fromkeys(("name", "email", "address", "city", "state", "zip", "country"), text)
    yield visitor.submit(page, "continue-to-payment", **typed)
    page = visitor.follow(visitor.submit(page, "continue-to-payment"))
    card = {"card_number": text, "expiry": text, "cvc": text}
    yield visitor.submit(page, "continue-to-review", **card)


def pages_of_stored(store: Store, visitor: Browser, text: str) -> Iterator[Page]:
    """Pages of what is kept, longer than any form lets it be."""
    number = visitor.follow(visitor.submit(visitor.get("/checkout"), "place-order"))
    add_to_cart(visitor)
    reach_review(visitor)
    with store.parts.database.write() as connection:
        customers, orders, checkouts = tables.customers, tables.orders, tables.checkouts
        ship_to = dict.fromkeys(connection.execute(select(orders.c.ship_to)).scalar_one(), text)
        connection.execute(update(orders).values(ship_to=ship_to))
        connection.execute(update(checkouts).values(shipping=ship_to))
        named = {"name": text, "email": text, "phone": text}
        mine = customers.c.is_ready_account.is_(False)
        connection.execute(update(customers).where(mine).values(named))
    for path in ("/account", "/account/profile", "/account/welcome", "/checkout", "/x-ray"):
        yield visitor.get(path)
    yield visitor.get("/checkout?step=shipping")
    yield visitor.get(f"/orders/{number.text('order-number')}")


def inbox_pages_with(store: Store, visitor: Browser, text: str) -> Iterator[Page]:
    """The inbox, to which anybody who knows its address may post anything."""
    address = f"/inbox/{store.parts.secrets.inbox_token}"
    header = {"X-Seed": text.encode("ascii", "replace").decode(), "webhook-id": "x"}
    batch = {
        "events": [{"event_type": "custom_event", "data": {"event_name": text, text: [text]}}],
        "mpid": text,
        "context": {"mpid_sequence": 1},
    }
    visitor.open(address, method="POST", json=batch, headers=header)
    other = {**batch, "events": [{"event_type": text}]}
    visitor.open(address, method="POST", json=other, query_string={"q": text})
    visitor.open(address, method="POST", data=text.encode(), headers=header)
    page = visitor.get("/inbox")
    yield page
    for listed in page.all("inbox-request"):
        yield visitor.get(listed.with_tag("a")[0]["href"])
    yield visitor.open("/inbox", query_string={"q": text, "type": text, "signature": text})
    form = visitor.get("/inbox/sessions")
    yield visitor.submit(form, "inbox-add", signing_secret=text)
    made = visitor.submit(form, "inbox-add", name=text[:80])
    yield visitor.follow(made)
    yield visitor.get(f"{made.location}/remove")
    yield visitor.get("/inbox/sessions")
    typed = dict.fromkeys(("status", "retry_after_seconds", "delay_ms", "times"), text)
    yield visitor.submit(visitor.get("/inbox"), "inbox-dial-set", **typed)
    yield visitor.submit(visitor.get("/inbox"), "inbox-preset", preset=text)


def test_text_from_outside_stays_text(open_store: OpenStore, tmp_path: Path) -> None:
    assert len(SEEDS) >= 20
    seeds = [" ".join(SEEDS[first : first + 2]) for first in range(0, len(SEEDS), 2)]
    words = "plain words " * 10
    plain = [f"{number} {words}"[: len(seed)].strip() for number, seed in enumerate(seeds)]
    plain_pages = pages_with(open_store(instance=tmp_path / "plain"), plain)
    pages = pages_with(open_store(instance=tmp_path / "seeds"), seeds)
    for page, same_with_plain_text in zip(pages, plain_pages, strict=True):
        assert skeleton(page) == skeleton(same_with_plain_text), page.path
        assert "60481729" not in page.html, f"an expression was worked out at {page.path}"
        for each in page.root.all():
            for name in ("href", "src", "action"):
                address = each.attributes.get(name, "")
                assert not address.lower().startswith("javascript:"), page.path


SMUGGLED: Final = {
    "is_admin": "1",
    "mpid": "1",
    "price": "0.01",
    "price_cents": "1",
    "unit_price_cents": "1",
    "total_cents": "1",
    "id": "1",
    "user_id": "shared_device_user",
    "customer_id": "C-AAAAAAAA",
    "visit_id": "99",
    "cart_id": "99",
    "workspace_id": "other",
    "is_ready_account": "1",
    "created_at_ms": "1",
    "number": "H-AAAA-AAAA",
    "placed_at_ms": "1",
    "has_paid": "1",
    "state": "placed",
    "label": "Cheap",
    "lines": "[]",
    "once": "x" * 20,
    "submit": "1",
}


class Smuggler(Browser):
    """Sends more fields than a form has."""

    def send(self, form: Form) -> Page:
        known = {name for name, _ in form.fields}
        extra = [(name, value) for name, value in SMUGGLED.items() if name not in known]
        return super().send(Form(form.method, form.action, form.fields + extra))


def test_fields_that_a_form_does_not_have_are_ignored(store: Store) -> None:
    smuggler = Smuggler(store.app)
    add_to_cart(smuggler, BALL, quantity="3")
    smuggler.submit(smuggler.get("/"), "landing-button")
    sign_up(smuggler, name="Mallory", email="mallory@example.com")
    smuggler.submit(smuggler.get("/account/profile"), "save-profile", name="Mal")
    smuggler.submit(smuggler.get("/cart"), "cart-item-update", quantity="2")
    page = begin_checkout(smuggler)
    assert page.has("continue-to-payment")
    assert smuggler.get("/checkout?step=review").has("continue-to-payment")
    page = smuggler.follow(smuggler.submit(page, "continue-to-payment"))
    review = smuggler.follow(smuggler.submit(page, "continue-to-review"))
    thanks = smuggler.follow(smuggler.submit(review, "place-order"))

    (customer,) = [row for row in store.rows("customers") if not row["is_ready_account"]]
    (order,) = store.rows("orders")
    (visit,) = store.rows("visits")
    assert customer["customer_id"] not in SMUGGLED.values()
    assert (customer["name"], customer["workspace_id"]) == ("Mal", store.parts.workspace_id)
    assert customer["created_at_ms"] == store.clock()
    assert order["customer_id"] == visit["customer_id"] == customer["customer_id"]
    assert (order["subtotal_cents"], order["total_cents"]) == (400, 496)
    assert order["lines"][0]["unit_price_cents"] == 200
    assert order["placed_at_ms"] == store.clock()
    assert order["ship_to"].keys() == {
        "name",
        "email",
        "address",
        "city",
        "state",
        "zip",
        "country",
    }
    assert thanks.text("order-number") == order["number"] != SMUGGLED["number"]
    assert {row["mpid"] for row in store.rows("events")} == {visit["current_mpid"]}
    assert sign_in(store.browser(), "shared_device_user").text("account-name") == "Sam Loop"


def test_somebody_elses_things_are_as_if_they_did_not_exist(store: Store, visitor: Browser) -> None:
    number = buy(visitor)
    add_to_cart(visitor)
    review = reach_review(visitor)
    line_id = store.rows("cart_lines")[-1]["id"]
    stranger = store.browser()
    sign_in(stranger, "shared_device_user")
    add_to_cart(stranger)
    before = store.dump(without=LOOKING)

    theirs, missing = stranger.get(f"/orders/{number}"), stranger.get("/orders/H-ZZZZ-ZZZZ")
    assert theirs.status == missing.status == 404
    assert theirs.text("error-page") == missing.text("error-page")

    for testid, suffix in (("cart-item-update", ""), ("cart-item-remove", "/remove")):
        answers = []
        for wanted in (line_id, 10**9):
            form = stranger.get("/cart").form_of(testid)
            form.action = f"/cart/lines/{wanted}{suffix}"
            answers.append(stranger.send(form))
        assert [answer.status for answer in answers] == [404, 404]
        assert len({answer.text("error-page") for answer in answers}) == 1

    checkout_id = review.form_of("place-order")["checkout_id"]
    locations = []
    for wanted in (checkout_id, "999999"):
        form = stranger.get("/cart").form_of("checkout")
        form.action = "/checkout/order"
        locations.append(stranger.send(form.with_values({"checkout_id": wanted})).location)
    assert locations == ["/cart", "/cart"]
    assert stranger.get("/checkout").location == "/cart"
    after = store.dump(without=LOOKING)
    before.pop("form_submissions")
    after.pop("form_submissions")
    assert after == before
