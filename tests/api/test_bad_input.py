"""Anything at all can come in: the answer says what is wrong, is never a 5xx, and nothing is half-written."""

import re
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from werkzeug.routing import Rule

from tests.api.browsing import Browser, Page
from tests.api.conftest import OpenStore, Store
from tests.api.journeys import BALL, add_to_cart, reach_review, sign_in
from tests.api.nasty import BODIES, JSON_BODIES, VALUES, as_bytes, as_wsgi

SHOP: Final = (
    "workspaces",
    "customers",
    "carts",
    "cart_lines",
    "checkouts",
    "orders",
    "inbox_requests",
    "inbox_sessions",
)
FIELDS: Final = [
    "product_id",
    "color",
    "size",
    "quantity",
    "name",
    "email",
    "phone",
    "wants_marketing",
    "user_id",
    "password",
    "next",
    "address",
    "city",
    "state",
    "zip",
    "country",
    "card_number",
    "expiry",
    "cvc",
    "checkout_id",
    "answer",
    "token",
    "id",
    "api_key",
    "api_secret",
    "identity_strategy",
    "identity_priority",
    "login_ids",
    "unique_ids",
    "immutable_ids",
    "signing_secret",
    "preset",
    "status",
    "retry_after_seconds",
    "delay_ms",
    "times",
    "drop_connection",
    "form_token",
]
PARAMETERS: Final = (
    "category",
    "step",
    "next",
    "once",
    "page",
    "before",
    "q",
    "after",
    "action",
    "type",
    "value",
    "previous_mpid",
    "history_before",
    "events_before",
    "workspace",
    "secret",
    "signature",
)
HEADERS: Final = [
    "User-Agent",
    "Accept",
    "Accept-Language",
    "Accept-Encoding",
    "Referer",
    "Origin",
    "Sec-Purpose",
    "Purpose",
    "X-CSRFToken",
    "X-CSRF-Token",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "Forwarded",
    "Authorization",
    "Range",
    "If-Range",
    "If-Match",
    "If-None-Match",
    "If-Modified-Since",
    "Date",
    "Expect",
    "Upgrade",
    "Transfer-Encoding",
    "X-Mp-Key",
    "X-Mp-Signature",
    "Webhook-Id",
    "Webhook-Timestamp",
    "Webhook-Signature",
    "X-Requested-With",
    "Hx-Request",
    "Content-Encoding",
    "Te",
    "Max-Forwards",
]
NO_FORMS: Final = ("inbox_receiver.", "inbox_api.")
CSS: Final = "/static/css/base.css"
COOKIES: Final = ("higgs_visit", "higgs_device", "higgs_operator", "remember_token", "session")


@pytest.fixture
def store(open_store: OpenStore, database_url: str, tmp_path: Path) -> Store:
    return open_store(database_url=database_url, instance=tmp_path, operator_token="let me look")


@pytest.fixture
def visitor(store: Store) -> Browser:
    """Signed in, with something in the cart and a checkout ready to be placed."""
    visitor = store.browser()
    sign_in(visitor)
    add_to_cart(visitor)
    reach_review(visitor)
    return visitor


@pytest.fixture
def values(store: Store) -> list[str]:
    """All nasty values on SQLite; every third on PostgreSQL, and those that only it refuses."""
    assert len(VALUES) >= 270
    if store.parts.database.is_sqlite:
        return VALUES
    return [
        value
        for number, value in enumerate(VALUES)
        if number % 3 == 0 or "\x00" in value or any("\ud800" <= char <= "\udfff" for char in value)
    ]


def shop_of(store: Store) -> dict[str, list[dict[str, Any]]]:
    """What must not be half-written."""
    return {table: [dict(row) for row in store.rows(table)] for table in SHOP}


def rules(store: Store, method: str) -> list[Rule]:
    """The routes that answer this method, the static files aside."""
    return [
        rule
        for rule in store.app.url_map.iter_rules()
        if method in (rule.methods or set()) and rule.endpoint != "static"
    ]


def path_of(rule: Rule, value: str = "1") -> str:
    """An address of this route with a value in each place of it."""
    return re.sub(r"<[^<>]*>", lambda _: value, rule.rule)


def csrf_token(visitor: Browser) -> str:
    """One of this visit."""
    return visitor.get("/cart").form_of("checkout")["csrf_token"]


def check(page: Page, what: object) -> None:
    assert page.status < 500, f"{page.status} for {what!r:.200} at {page.path:.200}"


def test_nasty_values_in_paths(store: Store, visitor: Browser, values: list[str]) -> None:
    before = shop_of(store)
    routes = [rule for rule in rules(store, "GET") if rule.arguments]
    for number, value in enumerate(values):
        rule = routes[number % len(routes)]
        for path in (path_of(rule, value), f"/{value}"):
            overrides = {"PATH_INFO": as_wsgi(path[:8_000])}
            check(visitor.open("/", environ_overrides=overrides), (rule.rule, value))
    assert shop_of(store) == before


def test_nasty_values_in_queries(store: Store, visitor: Browser, values: list[str]) -> None:
    before = shop_of(store)
    routes = rules(store, "GET")
    for number, value in enumerate(values):
        rule = routes[number % len(routes)]
        query = "&".join(f"{name}={as_wsgi(value)}" for name in PARAMETERS)
        page = visitor.open(path_of(rule), environ_overrides={"QUERY_STRING": query[:8_000]})
        check(page, value)
        check(visitor.open("/", query_string={"category": as_bytes(value)}), value)
    assert shop_of(store) == before


def test_nasty_values_in_forms(store: Store, visitor: Browser, values: list[str]) -> None:
    """In all fields at once, and in each field by itself; what is refused changes nothing."""
    forms = [rule for rule in rules(store, "POST") if not rule.endpoint.startswith(NO_FORMS)]
    line_id = str(store.rows("cart_lines")[0]["id"])
    token = csrf_token(visitor)
    for number, value in enumerate(values):
        rule = forms[number % len(forms)]
        if rule.endpoint in {"account.sign_out", "cart.remove"}:
            continue  # they take no fields, and would end the story
        good = {"product_id": BALL, "quantity": "1", "csrf_token": token}
        all_bad = {**dict.fromkeys(FIELDS, as_bytes(value)), "csrf_token": token}
        one = FIELDS[number % len(FIELDS)]
        one_bad = {**good, "form_token": f"one-time-token-{number:06}", one: as_bytes(value)}
        odd_name = {**good, as_wsgi(value) or "x": "1"}
        for data in (all_bad, one_bad, odd_name):
            before = shop_of(store)
            page = visitor.open(path_of(rule, line_id), method="POST", data=data)
            check(page, (rule.endpoint, value))
            if page.status >= 400:
                assert shop_of(store) == before, (rule.endpoint, value)
            if "Set-Cookie" in page.response.headers:
                token = csrf_token(visitor)


def test_nasty_values_in_cookies_and_headers(store: Store, values: list[str]) -> None:
    before = shop_of(store)
    stranger = store.browser()
    stranger.client = store.app.test_client(use_cookies=False)
    visitor = store.browser()
    for number, value in enumerate(values):
        crumbs = "; ".join(f"{name}={value[:2_000]}" for name in COOKIES)
        overrides = {"HTTP_COOKIE": as_wsgi(crumbs)}
        method = "HEAD" if number % 3 else "GET"
        check(stranger.open("/account", method=method, environ_overrides=overrides), value)
        names = [HEADERS[(number + step) % len(HEADERS)] for step in range(len(HEADERS) // 3)]
        overrides = {
            f"HTTP_{name.upper().replace('-', '_')}": as_wsgi(value[:8_000]) for name in names
        }
        method, path = (("GET", "/about"), ("POST", "/cart/lines"), ("GET", CSS))[number % 3]
        check(visitor.open(path, method=method, environ_overrides=overrides), value)
        overrides["CONTENT_TYPE"] = as_wsgi(value[:8_000])
        path = ("/cart/lines", "/identity/v1/identify")[number % 2]
        for address in (path, f"/inbox/{store.parts.secrets.inbox_token}"):
            page = visitor.open(address, method="POST", data=b"{}", environ_overrides=overrides)
            check(page, value)
    after = shop_of(store)
    assert len(after.pop("inbox_requests")) == len(values)
    before.pop("inbox_requests")
    assert len(after.pop("inbox_sessions")) == 1
    before.pop("inbox_sessions")
    assert after == before


def test_bodies_that_are_wrong_as_a_whole(store: Store, visitor: Browser) -> None:
    """Each with a right CSRF token in a header, so that the body is really read."""
    forms = [rule for rule in rules(store, "POST") if not rule.endpoint.startswith(NO_FORMS)]
    header = {"X-CSRFToken": csrf_token(visitor)}
    before = shop_of(store)
    for number, (content_type, body) in enumerate(BODIES):
        for rule in forms[number % 4 :: 4]:
            page = visitor.open(
                path_of(rule), method="POST", data=body, content_type=content_type, headers=header
            )
            assert 300 <= page.status < 500, (rule.endpoint, content_type, body[:80])
    assert shop_of(store) == before
    assert visitor.get("/account").has("account-name")


def test_lengths_that_do_not_fit_the_body(store: Store, visitor: Browser) -> None:
    before = shop_of(store)
    for length in ("", "0", "-1", "x", "1.5", "9" * 30, " 5", "5, 5", "٣", "1" * 5_000):
        for path in ("/cart/lines", "/identity/v1/identify", "/account/sign-in"):
            overrides = {"CONTENT_LENGTH": as_wsgi(length)}
            page = visitor.open(path, method="POST", data=b"a=b", environ_overrides=overrides)
            check(page, length)
    assert shop_of(store) == before


def test_bad_json_at_the_identity_service(store: Store, values: list[str]) -> None:
    stranger = store.browser()
    headers = {"x-mp-key": "demo-web-key", "Content-Type": "application/json"}
    for action in ("identify", "login", "logout", "search", "1/modify"):
        for body in JSON_BODIES:
            path = f"/identity/v1/{action}"
            page = stranger.open(path, method="POST", data=body, headers=headers)
            assert 400 <= page.status < 500, (action, body[:80])
            assert page.response.is_json
    for value in values:
        call = {
            "environment": "development",
            "known_identities": {"other": value.encode("utf-8", "replace").decode()},
        }
        check(
            stranger.open("/identity/v1/identify", method="POST", json=call, headers=headers), value
        )


def test_anything_may_be_posted_to_the_inbox_and_be_looked_at(store: Store) -> None:
    observer = store.browser()
    observer.submit(observer.get("/operator"), "operator-enter", token="let me look")
    address = f"/inbox/{store.parts.secrets.inbox_token}"
    kept = 0
    for content_type, body in BODIES:
        page = observer.open(address, method="POST", data=body, content_type=content_type)
        assert page.status == (413 if len(body) > 256 * 1024 else 204), (content_type, body[:80])
        kept += page.status == 204
    assert len(store.rows("inbox_requests")) == kept
    for row in store.rows("inbox_requests")[::3]:
        assert observer.get(f"/inbox/requests/{row['id']}").status == 200
    assert observer.get("/inbox").status == 200


_TEXT = st.one_of(st.sampled_from(VALUES), st.text(max_size=40))
_FORM = st.dictionaries(st.one_of(st.sampled_from(FIELDS), st.text(max_size=8)), _TEXT, max_size=6)
_QUERY = st.dictionaries(st.sampled_from(PARAMETERS), _TEXT, max_size=3)
_SENT_HEADERS = st.dictionaries(st.sampled_from(HEADERS), _TEXT, max_size=2)


def test_hypothesis_finds_no_request_that_breaks_the_store(open_store: OpenStore) -> None:
    """About 2,500 requests to every route of the URL map; derandomized, so always the same."""
    store = open_store()
    visitor = store.browser()
    add_to_cart(visitor)
    routes = [
        (rule, method)
        for rule in store.app.url_map.iter_rules()
        for method in sorted(rule.methods or set())
        if rule.endpoint not in {"static", "inbox_receiver.receive"}
    ]
    token = csrf_token(visitor)

    @settings(
        max_examples=2_500,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        route=st.sampled_from(routes),
        argument=st.one_of(st.sampled_from([BALL, "1", "cart"]), _TEXT),
        query=_QUERY,
        form=_FORM,
        headers=_SENT_HEADERS,
        form_token=st.sampled_from(["", "a-token-used-before", "another-one-time-token"]),
        is_near=st.booleans(),
    )
    def send(
        route: tuple[Rule, str],
        argument: str,
        query: dict[str, str],
        form: dict[str, str],
        headers: dict[str, str],
        form_token: str,
        *,
        is_near: bool,
    ) -> None:
        rule, method = route
        overrides = {
            "PATH_INFO": as_wsgi(path_of(rule, argument)[:2_000]),
            "REMOTE_ADDR": "127.0.0.1" if is_near else "192.0.2.1",
        }
        overrides |= {
            f"HTTP_{name.upper().replace('-', '_')}": as_wsgi(value[:2_000])
            for name, value in headers.items()
        }
        sent = {as_wsgi(name): as_bytes(value) for name, value in form.items()}
        sent |= {"csrf_token": token.encode(), "form_token": form_token.encode()}
        page = visitor.open(
            "/",
            method=method,
            query_string={name: as_bytes(value) for name, value in query.items()},
            data=sent if method == "POST" else None,
            environ_overrides=overrides,
        )
        check(page, (route, argument, query, form, headers))

    send()
    assert visitor.get("/").status == 200
    with store.parts.database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
