"""The official Web SDK, unmodified and only configured, in an app of another origin."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.browser.conftest import NewShopper, NewStore
from tests.browser.shopper import Shopper
from tests.browser.store_process import StoreProcess, until
from tests.install_web_sdk import NoWebSdk, find_web_sdk
from tests.network_faults import Received, Receiver, Reply

DOCS: Final = Path(__file__).parents[2] / "docs/official-clients.md"
KEY: Final = "demo-web-key"
ADA: Final = {"customerid": "C-1001", "email": "ada@example.test"}

# `ask` turns the SDK's callbacks into promises; mParticle is what every page of every app has.
PAGE: Final = """<!doctype html><title>An app</title><link rel="icon" href="data:,">
<script src="/mparticle.js"></script>
<script>
const ask = (call, ...sent) => new Promise(answered => call(...sent, answered));
const begin = (key, config) => new Promise(answered => mParticle.init(key, {
  requestConfig: false, forceHttps: false, isDevelopmentMode: true, workspaceToken: "an-app",
  appName: "An app", logLevel: "none", ...config, identityCallback: answered,
}));
const mpid = () => mParticle.Identity.getCurrentUser().getMPID();
const isLoggedIn = () => mParticle.Identity.getCurrentUser().isLoggedIn();
</script>"""


@pytest.fixture
def app(sdk_store: StoreProcess) -> Iterator[Receiver]:
    """A web server that knows nothing of the store: one page and the SDK."""
    script = find_web_sdk()
    if script is None:
        raise NoWebSdk("no Web SDK here: run python -m tests.install_web_sdk")
    (in_docs,) = re.findall(r"```html\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    in_docs = in_docs.replace("127.0.0.1:8000", sdk_store.address.removeprefix("http://"))
    pages = {
        "/docs": Reply(200, {"Content-Type": "text/html;charset=utf-8"}, in_docs.encode()),
        "/favicon.ico": Reply(204),
        "/": Reply(200, {"Content-Type": "text/html;charset=utf-8"}, PAGE.encode()),
        "/mparticle.js": Reply(200, {"Content-Type": "text/javascript"}, script.read_bytes()),
    }

    def serve(asked: Received) -> Reply:
        return pages.get(asked.path, Reply(404))

    with Receiver(serve) as app:
        yield app


@pytest.fixture
def webhook() -> Iterator[Receiver]:
    """Where the store sends what it took in."""
    with Receiver() as webhook:
        yield webhook


@pytest.fixture
def sdk_store(new_store: NewStore, webhook: Receiver) -> StoreProcess:
    store = new_store("for-an-app", WEBHOOK_URL=f"{webhook.url}/hook")
    store.send_attribute_changes()
    return store


class App:
    """Somebody at a page of the app."""

    def __init__(self, user: Shopper, store: StoreProcess, webhook: Receiver) -> None:
        self.user = user
        self._store = store
        self._webhook = webhook

    def begin(self, *, key: str = KEY, **config: Any) -> dict[str, Any]:
        """Open the page and start the SDK. Returns what its identityCallback was given."""
        self.user.open("/")
        domain = self._store.address.partition("://")[2]
        answer: dict[str, Any] = self.user.page.evaluate(
            "([key, config]) => begin(key, config)", [key, {"domain": domain, **config}]
        )
        return answer

    def do(self, script: str, *values: Any) -> Any:
        """Run a line of the app's code, with values as `a`, `b` …, and wait for its promise."""
        names = ", ".join("abc"[: len(values)])
        return self.user.page.evaluate(f"([{names}]) => {script}", list(values))

    def bodies(self) -> list[dict[str, Any]]:
        """Everything that arrived at the other end so far."""
        return [json.loads(request.body) for request in self._webhook.requests]

    def arrives(self, what: str) -> dict[str, Any]:
        """Wait for an event by type and name, and return its whole body."""

        def found() -> list[dict[str, Any]]:
            return [body for body in self.bodies() if what_of(body) == what]

        until(lambda: bool(found()), f"{what!r} arrived")
        return found()[-1]


def what_of(body: dict[str, Any]) -> str:
    """An event in words."""
    ((event_type, data),) = ((each["event_type"], each["data"]) for each in body["events"])
    match data:
        case {"screen_name": name} | {"event_name": name} | {"user_attribute_name": name}:
            return f"{event_type} {name}"
        case {"product_action": {"action": name}} | {"promotion_action": {"action": name}}:
            return f"{event_type} {name}"
        case {"product_impressions": [{"product_impression_list": name}]}:
            return f"{event_type} {name}"
        case {"new": {"identity_type": name}}:
            return f"{event_type} {name}"
    return str(event_type)


@pytest.fixture
def at_app(
    app: Receiver, sdk_store: StoreProcess, webhook: Receiver, new_shopper: NewShopper
) -> App:
    return App(new_shopper(app.url), sdk_store, webhook)


def identities(body: dict[str, Any]) -> dict[str, str]:
    return {each["identity_type"]: each["identity"] for each in body["user_identities"]}


def test_a_whole_visit(at_app: App, sdk_store: StoreProcess) -> None:
    began = at_app.begin()
    assert began["httpCode"] == 200
    anonymous = began["body"]["mpid"]
    assert at_app.do("[mpid(), isLoggedIn()]") == [anonymous, False]
    for what in ("session_start", "application_state_transition"):
        assert at_app.arrives(what)["mpid"] == int(anonymous)

    at_app.do("mParticle.logPageView('Landing', {list: 'home', nothing: null})")
    view = at_app.arrives("screen_view Landing")
    assert view["events"][0]["data"]["custom_attributes"]["list"] == "home"
    assert view["source_info"]["channel"] == "javascript"
    assert view["application_info"]["application_name"] == "An app"
    assert "Chrom" in view["device_info"]["http_header_user_agent"]

    at_app.do("mParticle.logEvent('Untyped')")
    untyped = at_app.arrives("custom_event Untyped")["events"][0]["data"]
    assert untyped["custom_event_type"] == "unknown"
    at_app.do("mParticle.logEvent('Typed', mParticle.EventType.Search, {words: 'tee'}, {flag: 1})")
    assert at_app.arrives("custom_event Typed")["events"][0]["data"]["custom_flags"] == {"flag": 1}
    at_app.do("mParticle.logError(new TypeError('boom'))")
    crash = at_app.arrives("crash_report")["events"][0]["data"]
    assert (crash["message"], crash["custom_attributes"]["m"]) == ("TypeError", "boom")

    at_app.do(
        """{
        const tee = mParticle.eCommerce.createProduct('Boson Tee', 4711, '25.50', 2);
        const act = mParticle.ProductActionType;
        mParticle.eCommerce.logProductAction(act.AddToCart, [tee]);
        mParticle.eCommerce.logProductAction(act.RemoveFromWishlist, [tee]);
        mParticle.eCommerce.logProductAction(
          act.Purchase, [tee], null, null, {Id: 'T-1', Revenue: 51, Tax: 4, Shipping: 0});
        const spring = mParticle.eCommerce.createPromotion('P1', 'banner', 'Spring', 'top');
        mParticle.eCommerce.logPromotion(mParticle.PromotionType.PromotionView, spring);
        mParticle.eCommerce.logImpression(mParticle.eCommerce.createImpression('Home', tee));
        }"""
    )
    added = at_app.arrives("commerce_event add_to_cart")["events"][0]["data"]
    (product,) = added["product_action"]["products"]
    assert (product["id"], product["price"], product["total_product_amount"]) == ("4711", 25.5, 51)
    at_app.arrives("commerce_event remove_from_wish_list")
    bought = at_app.arrives("commerce_event purchase")["events"][0]["data"]["product_action"]
    assert (bought["transaction_id"], bought["total_amount"]) == ("T-1", 51)
    at_app.arrives("commerce_event view")
    at_app.arrives("commerce_event Home")

    answer = at_app.do("ask(mParticle.Identity.login, {userIdentities: a})", ADA)
    assert (answer["httpCode"], answer["body"]["mpid"]) == (200, anonymous)
    assert at_app.do("[mpid(), isLoggedIn()]") == [anonymous, True]
    changed = at_app.arrives("user_identity_change customer_id")
    assert identities(changed) == {"customer_id": "C-1001", "email": "ada@example.test"}

    at_app.do("mParticle.Identity.getCurrentUser().setUserAttribute('tier', 'gold')")
    at_app.do("mParticle.Identity.getCurrentUser().setUserTag('vip')")
    at_app.do("mParticle.Identity.getCurrentUser().setUserAttributeList('sizes', ['S', 'M'])")
    at_app.arrives("user_attribute_change sizes")
    at_app.do("mParticle.logEvent('With attributes', mParticle.EventType.Other)")
    attributes = at_app.arrives("custom_event With attributes")["user_attributes"]
    assert attributes == {"sizes": ["S", "M"], "tier": "gold", "vip": None}
    at_app.do("mParticle.Identity.getCurrentUser().removeUserAttribute('vip')")
    at_app.do("mParticle.logEvent('One less', mParticle.EventType.Other)")
    assert "vip" not in at_app.arrives("custom_event One less")["user_attributes"]

    change = "ask(mParticle.Identity.modify, {userIdentities: a})"
    answer = at_app.do(change, {"email": "ada2@example.test", "other": "x"})
    assert (answer["httpCode"], answer["body"]["mpid"]) == (200, anonymous)
    assert identities(at_app.arrives("user_identity_change other"))["email"] == "ada2@example.test"
    assert at_app.do(change, {"email": None})["httpCode"] == 200
    assert at_app.do("isLoggedIn()") is True

    search = f"ask(mParticle.Identity.search, '{KEY}', a)"
    found = at_app.do(search, {"customerid": "C-1001"})
    assert (found["httpCode"], found["body"]["mpid"]) == (200, anonymous)
    at_app.user.watch.is_strict = False
    assert at_app.do(search, {"email": "ada2@example.test"})["httpCode"] == 404
    at_app.user.watch.is_strict = True

    answer = at_app.do("ask(mParticle.Identity.logout, {})")
    stranger = answer["body"]["mpid"]
    assert stranger != anonymous
    assert at_app.do("[mpid(), isLoggedIn()]") == [stranger, False]
    at_app.do("mParticle.logPageView('After')")
    after = at_app.arrives("screen_view After")
    assert (after["mpid"], identities(after)) == (int(stranger), {})

    at_app.do("mParticle.setOptOut(true)")
    assert at_app.arrives("opt_out")["events"][0]["data"]["is_opted_out"] is True
    at_app.do("mParticle.logPageView('Never')")
    sdk_store.wait_until_delivered()
    assert "screen_view Never" not in map(what_of, at_app.bodies())
    names = [body["events"][0]["data"]["source_message_id"] for body in at_app.bodies()]
    assert len(set(names)) == len(names)


def test_the_lines_in_the_docs_work(at_app: App) -> None:
    at_app.user.open("/docs")
    assert at_app.arrives("screen_view Landing")["environment"] == "development"


def test_over_https_settings_are_fetched_and_an_alias_carries_over(
    new_store: NewStore, webhook: Receiver, app: Receiver, new_shopper: NewShopper
) -> None:
    """Both of which the SDK does by https alone. An alias makes a stranger's past somebody's own."""
    store = new_store("over-https", "--tls", WEBHOOK_URL=f"{webhook.url}/hook")
    at_app = App(new_shopper(app.url, ignore_https_errors=True), store, webhook)
    with at_app.user.page.expect_response("**/tags/JS/v2/demo-web-key/config?*") as fetched:
        at_app.begin(requestConfig=True, forceHttps=True, workspaceToken=None)
    assert fetched.value.status == 200
    login = "ask(mParticle.Identity.login, {userIdentities: a})"
    ada = at_app.do(login, ADA)["body"]["mpid"]
    stranger = at_app.do("ask(mParticle.Identity.logout, {})")["body"]["mpid"]
    at_app.do("mParticle.logPageView('As a stranger')")
    at_app.arrives("screen_view As a stranger")
    assert at_app.do(login, ADA)["body"]["mpid"] == ada
    window = "startTime: Date.now() - 60000, endTime: Date.now()"
    alias = f"ask(mParticle.Identity.aliasUsers, {{sourceMpid: a, destinationMpid: b, {window}}})"
    assert at_app.do(alias, stranger, ada)["httpCode"] == 202
    profile = f"{store.address}/profiles/{ada}"
    until(
        lambda: "As a stranger" in httpx.get(profile, verify=store.trusted()).text,
        "the stranger's page view is Ada's",
    )


def test_a_reload_goes_on_with_the_session(at_app: App) -> None:
    began = at_app.begin()
    assert at_app.begin()["httpCode"] == -3
    assert at_app.do("mpid()") == began["body"]["mpid"]


def test_what_waits_in_a_page_that_is_left_still_arrives_and_once(
    at_app: App, sdk_store: StoreProcess
) -> None:
    at_app.begin(flags={"eventBatchingIntervalMillis": "3600000", "offlineStorage": "100"})
    at_app.do("mParticle.logPageView('Left')")
    at_app.do("mParticle.logEvent('Last', mParticle.EventType.Navigation)")
    at_app.user.open("/")
    at_app.arrives("screen_view Left")
    at_app.begin(flags={"eventBatchingIntervalMillis": "0", "offlineStorage": "100"})
    at_app.do("mParticle.logPageView('Back')")
    at_app.arrives("screen_view Back")
    sdk_store.wait_until_delivered()
    arrived = [what_of(body) for body in at_app.bodies()]
    assert [arrived.count(what) for what in ("screen_view Left", "custom_event Last")] == [1, 1]


def test_a_key_that_nobody_has_is_refused_once_and_readably(at_app: App) -> None:
    at_app.user.watch.is_strict = False
    began = at_app.begin(key="somebody-elses-key")
    assert began["httpCode"] == -1
    assert "401" in began["body"]
    assert at_app.bodies() == []


def test_a_server_that_answers_429_gets_it_all_later(
    new_store: NewStore, webhook: Receiver, app: Receiver, new_shopper: NewShopper
) -> None:
    """The SDK sends what is answered 429 again and again, and nothing is lost or doubled by it."""
    store = new_store("limited", WEBHOOK_URL=f"{webhook.url}/hook", RATE_LIMIT="2/second")
    at_app = App(new_shopper(app.url), store, webhook)
    at_app.user.watch.is_strict = False
    at_app.begin()
    names = [f"View {number}" for number in range(6)]
    with at_app.user.page.expect_response(lambda answer: answer.status == 429):
        at_app.do("a.forEach(name => mParticle.logPageView(name))", names)
    for name in names:
        at_app.arrives(f"screen_view {name}")
    store.wait_until_delivered()
    arrived = [what_of(body) for body in at_app.bodies()]
    assert sorted(arrived) == sorted(set(arrived))
