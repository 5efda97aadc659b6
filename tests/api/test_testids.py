"""The published test ids are on the pages that docs/testing.md names, and no page has others."""

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from sqlalchemy import update

from higgs_shop import outbox
from higgs_shop.background import beat, this_forwarder
from higgs_shop.outputs import find_output, mark_full
from higgs_shop.tables import messages
from higgs_shop.webhook_output import sign
from tests.api.browsing import Browser, Page
from tests.api.conftest import OpenStore, Store
from tests.api.journeys import TEE, add_to_cart, begin_checkout, buy, mpid, sign_up
from tests.network_faults import Receiver, Reply

PROJECT: Final = Path(__file__).parent.parent.parent
EVERY_PAGE: Final = "Every page"
ERRORS: Final = "Error pages"
_EXPRESSION: Final = re.compile(r"\{\{.*?\}\}")

Ids = dict[str, set[str]]


def documented() -> Ids:
    """The ids by page, as docs/testing.md lists them."""
    ids: Ids = {}
    text = (PROJECT / "docs" / "testing.md").read_text(encoding="utf-8")
    for section in text.split("\n### ")[1:]:
        heading, _, rest = section.partition("\n")
        ids[heading.strip("`")] = set(re.findall(r"^\| `([a-z-]+)` \|", rest, re.MULTILINE))
    return ids


@pytest.fixture
def seen(
    store: Store, open_store: OpenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Ids:
    """The ids by page, as they are on the pages in all their states."""
    ids: Ids = defaultdict(set)
    for pages in (_shopping, _signing_up, _observing):
        for name, page in pages(store):
            ids[name] |= _ids_of(page)
    unanswered = open_store(identity_transport=httpx.MockTransport(_refuse))
    ids["/about"] |= _ids_of(unanswered.browser().get("/about"))
    for name, page in _entering(open_store(operator_token="who-may-look")):
        ids[name] |= _ids_of(page)
    monkeypatch.setattr("higgs_shop.idsync_service.directory.MOST_COUNTED", 2)
    remote = open_store(idsync_url="https://identity.example/v1")
    ids["/profiles"] |= _ids_of(remote.browser().get("/profiles"))
    linking = open_store(identity_strategy="profile_link")
    for page in _linked(linking):
        ids["/profiles/<mpid>"] |= _ids_of(page)
    strict = open_store(immutable_ids=("customerid",), identity_priority=("email", "customerid"))
    for name, page in (*_refused(strict), *_beside(store)):
        ids[name] |= _ids_of(page)
    with Receiver() as receiver:
        another = open_store(instance=tmp_path / "another", webhook_url=receiver.url)
        for name, page in _connecting(another, receiver):
            ids[name] |= _ids_of(page)
    return ids


def test_every_published_id_is_on_its_page(seen: Ids) -> None:
    everywhere = set.union(*seen.values())
    missing = {
        name: ids - (everywhere if name == EVERY_PAGE else seen[name])
        for name, ids in documented().items()
    }
    assert {name: ids for name, ids in missing.items() if ids} == {}


def test_every_id_on_a_page_is_published(seen: Ids) -> None:
    published = documented()
    unlisted = {
        name: ids - published.get(name, set()) - published[EVERY_PAGE] for name, ids in seen.items()
    }
    assert {name: ids for name, ids in unlisted.items() if ids} == {}


def test_every_id_in_a_template_is_published() -> None:
    published = set.union(*documented().values())
    templates = (PROJECT / "templates").rglob("*.html")
    found = {
        name
        for template in templates
        for name in re.findall(r'testid="((?:\{\{.*?\}\}|[^"{])+)"', template.read_text("utf-8"))
    }
    assert found
    unlisted = {
        name
        for name in found
        if not any(_pattern(name).fullmatch(candidate) for candidate in published)
    }
    assert unlisted == set()


def _pattern(name: str) -> re.Pattern[str]:
    """What a template's id with an expression in it may come out as."""
    return re.compile("[a-z-]+".join(map(re.escape, _EXPRESSION.split(name))))


def _ids_of(page: Page) -> set[str]:
    return set(re.findall(r'data-testid="([^"]+)"', page.html))


def _refuse(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("nobody there", request=request)


def _shopping(store: Store) -> Iterable[tuple[str, Page]]:
    visitor = store.browser()
    yield "/", visitor.get("/")
    product = visitor.get(f"/products/{TEE}")
    yield "/products/<id>", product
    yield "/products/<id>", visitor.submit(product, "add-to-cart", quantity="0")
    yield "/cart", visitor.get("/cart")
    add_to_cart(visitor, TEE, color="Black Heather", size="S")
    yield "/products/<id>", visitor.get(f"/products/{TEE}")
    yield "/cart", visitor.get("/cart")
    shipping = begin_checkout(visitor)
    yield "/checkout", shipping
    fields = ("name", "email", "address", "city", "state", "zip", "country")
    nothing = dict.fromkeys(fields, "")
    yield "/checkout", visitor.submit(shipping, "continue-to-payment", **nothing)
    payment = visitor.follow(visitor.submit(shipping, "continue-to-payment"))
    yield "/checkout", payment
    nothing = dict.fromkeys(("card_number", "expiry", "cvc"), "")
    yield "/checkout", visitor.submit(payment, "continue-to-review", **nothing)
    review = visitor.follow(visitor.submit(payment, "continue-to-review"))
    yield "/checkout", review
    yield "/orders/<number>", visitor.follow(visitor.submit(review, "place-order"))
    yield ERRORS, visitor.get("/products/nothing")


def _signing_up(store: Store) -> Iterable[tuple[str, Page]]:
    visitor = store.browser()
    account = visitor.get("/account")
    yield "/account", account
    yield "/account", visitor.submit(account, "sign-in")
    form = visitor.get("/account/sign-up")
    yield "/account/sign-up", form
    yield "/account/sign-up", visitor.submit(form, "sign-up", phone="none")
    yield "/account/welcome", sign_up(visitor)
    buy(visitor)
    yield "/account", visitor.get("/account")
    profile = visitor.get("/account/profile")
    yield "/account/profile", profile
    wrong = {"name": "", "email": "nowhere", "phone": "none"}
    yield "/account/profile", visitor.submit(profile, "save-profile", **wrong)
    privacy = visitor.get("/privacy")
    yield "/privacy", privacy
    yield "/privacy", visitor.follow(visitor.submit(privacy, "opt-out"))


def _observing(store: Store) -> Iterable[tuple[str, Page]]:
    visitor = store.browser()
    yield "/inbox", visitor.get("/inbox")
    _post_to_inbox(store, visitor, times=51)
    inbox = visitor.get("/inbox")
    yield "/inbox", inbox
    newest = inbox.all("inbox-request")[0].with_tag("a")[0]["href"]
    yield "/inbox", visitor.get(newest)
    yield from _turning(visitor, newest)
    yield "/x-ray", visitor.get("/x-ray")
    yield "/x-ray", store.browser().get("/x-ray")
    yield from _explaining(store)
    yield from _taking_in(store)


def _turning(visitor: Browser, newest: str) -> Iterable[tuple[str, Page]]:
    yield "/inbox", visitor.get("/inbox?q=nowhere")
    wrong = dict.fromkeys(("status", "retry_after_seconds", "delay_ms", "times"), "x")
    yield "/inbox", visitor.submit(visitor.get("/inbox"), "inbox-dial-set", **wrong)
    form = visitor.get("/inbox/sessions")
    yield "/inbox/sessions", form
    wrong = {"name": "\x00", "signing_secret": "x"}
    yield "/inbox/sessions", visitor.submit(form, "inbox-add", **wrong)
    other = visitor.follow(visitor.submit(form, "inbox-add"))
    yield "/inbox", other
    yield "/inbox", visitor.submit(other, "inbox-secret-set", signing_secret="x")
    yield from _posting_to_inbox(visitor)
    asking = ("inbox-remove", "inbox-remove-all", "inbox-remove-one")
    for page, testid in zip(
        (other, visitor.get("/inbox"), visitor.get(newest)), asking, strict=True
    ):
        yield "/inbox/sessions/<token>/remove", visitor.get(page.one(testid)["href"])


def _posting_to_inbox(visitor: Browser) -> Iterable[tuple[str, Page]]:
    """The connection that posts there is paused, and then takes nothing more."""
    visitor.submit(visitor.get("/inbox"), "inbox-preset", preset="gone")
    visitor.submit(visitor.get("/connections/webhook"), "connection-pause")
    inbox = visitor.get("/inbox")
    yield "/inbox", inbox
    page = visitor.follow(visitor.submit(inbox, "connection-resume"))
    visitor.submit(page, "connection-change", is_active=None)
    yield "/inbox", visitor.get("/inbox")
    visitor.submit(visitor.get("/connections/webhook"), "connection-change", is_active="y")
    visitor.submit(visitor.get("/inbox"), "inbox-preset", preset="usual")


def _explaining(store: Store) -> Iterable[tuple[str, Page]]:
    nobody = store.browser()
    yield "/profiles", nobody.get("/profiles?q=nobody")
    visitor = store.browser()
    number = mpid(sign_up(visitor, email="one.more@example.com"))
    for _ in range(25):
        visitor.get("/about")
    for stamp in range(51):
        _identify(visitor, previous_mpid=number, device_application_stamp=f"stamp-{stamp}")
    person = visitor.get(f"/profiles/{number}")
    yield "/profiles/<mpid>", person
    yield "/profiles", visitor.get(f"/profiles?q={number}")
    answered = visitor.submit(person, "what-if-ask", previous_mpid=number)
    yield "/profiles/<mpid>", answered
    yield "/profiles/<mpid>", visitor.submit(person, "what-if-ask", previous_mpid="x")
    mistaken = {"mpid": "x", "type": "nose", "old_value": "\x00", "new_value": "\x00"}
    for page in (person, visitor.get("/profiles")):
        wrong_modify = visitor.submit(page, "what-if-modify-ask", **mistaken)
        yield "/profiles/<mpid>" if page is person else "/profiles", wrong_modify
    former = _identify(visitor, other="a", ios_idfv="kiosk")
    for _ in range(2):
        _identify(visitor, other="a")
    change = {"identity_type": "other", "old_value": "a", "new_value": "z"}
    _call(visitor, f"{former}/modify", identity_changes=[change])
    store.clock.forward(seconds=1)
    _call(visitor, "logout", known_identities={"ios_idfv": "kiosk"})
    yield "/profiles", visitor.get("/profiles?q=a")
    yield "/profiles/<mpid>", visitor.get(f"/profiles/{former}")
    yield "/profiles", visitor.get("/profiles")
    yield "/profiles", visitor.submit(visitor.get("/profiles"), "what-if-ask", action="fly")
    yield "/profiles", visitor.get("/profiles?action=search&type=email&value=x")
    wrong = "action=fly&type=nothing&value=x&type=email&value=%00&previous_mpid=x"
    yield "/profiles", visitor.get(f"/profiles?{wrong}")
    yield "/profiles/<mpid>", visitor.get(f"/profiles/{number}?{wrong}")
    stranger = mpid(store.browser().get("/about"))
    for kept in ("profiles", "profile_identities"):
        with store.parts.database.write() as connection:
            connection.exec_driver_sql(f"DELETE FROM {kept} WHERE mpid = {stranger}")  # noqa: S608
    yield "/profiles/<mpid>", visitor.get(f"/profiles/{stranger}")


def _taking_in(store: Store) -> Iterable[tuple[str, Page]]:
    visitor = store.browser()
    yield "/intake", visitor.get("/intake")
    for number in range(26):
        visitor.open("/webevents/v3/JS/demo-web-key/events", method="POST", data=f"no {number}")
    for _ in range(2):
        faulty = '{"events": [{"event_type": "dance"}, {"event_type": "fly"}]}'
        visitor.open("/webevents/v3/JS/demo-web-key/events", method="POST", data=faulty)
    yield "/intake", visitor.get("/intake")


def _linked(linking: Store) -> Iterable[Page]:
    """A customer who was somebody else before, as the service tells it, and that somebody."""
    visitor = linking.browser()
    source = mpid(visitor.get("/"))
    linking.clock.forward(seconds=1)
    number = mpid(sign_up(visitor, email="linked@example.com"))
    linking.parts.background.do_round()
    return visitor.get(f"/profiles/{number}"), visitor.get(f"/profiles/{source}")


def _refused(strict: Store) -> Iterable[tuple[str, Page]]:
    """A request for somebody's e-mail address with somebody else's customer id, which never changes."""
    visitor = strict.browser()
    _identify(visitor, customerid="C-1")
    number = _identify(visitor, email="never.mind@example.com")
    question = "action=login&type=email&value=never.mind%40example.com&type=customerid&value=C-1"
    yield "/profiles", visitor.get(f"/profiles?{question}")
    yield "/profiles/<mpid>", visitor.get(f"/profiles/{number}?{question}")


def _beside(store: Store) -> Iterable[tuple[str, Page]]:
    """Other workspaces than the shop's; more than one page of them."""
    visitor = store.browser()
    form = visitor.get("/workspaces")
    yield "/workspaces", form
    fields = ("id", "api_key", "api_secret", "identity_strategy", "identity_priority")
    types = ("login_ids", "unique_ids", "immutable_ids")
    wrong = dict.fromkeys((*fields, *types), "\x00")
    yield "/workspaces", visitor.submit(form, "workspace-add", **wrong)
    for number in range(50):
        visitor.submit(visitor.get("/workspaces"), "workspace-add", id=f"w-{number}")
    yield "/workspaces", visitor.get("/workspaces")
    yield "/workspaces", visitor.get("/workspaces?after=zzz")
    yield "/workspaces/<name>", visitor.get("/workspaces/default")
    one = visitor.get("/workspaces/w-1")
    yield "/workspaces/<name>", one
    yield "/workspaces/<name>", visitor.submit(one, "workspace-change", **wrong)
    yield "/workspaces/<name>", visitor.get(one.one("workspace-show-secret")["href"])
    yield "/workspaces/<name>/remove", visitor.get(one.one("workspace-remove")["href"])
    yield "/profiles", visitor.get("/profiles?workspace=w-1")
    yield "/intake", visitor.get("/intake?workspace=w-1")


def _connecting(store: Store, receiver: Receiver) -> Iterable[tuple[str, Page]]:
    """An output in trouble of every kind, and out of it."""
    visitor = store.browser()
    yield "/connections/<name>", visitor.get("/connections/webhook")
    yield "/connections/<name>/deliveries", visitor.get("/connections/webhook/deliveries")
    for _ in range(51):
        visitor.get("/about")
    yield "/connections/<name>/deliveries", visitor.get("/connections/webhook/deliveries")
    yield "/connections/<name>/deliveries/<number>", _delivery(visitor, 1)
    receiver.script(*[Reply(422, body=b"no")] * 5, Reply(410))
    beat(store.parts.database, this_forwarder(), store.clock())
    store.parts.sender.deliver_due()
    yield "/connections", visitor.get("/connections")
    yield "/connections/<name>", visitor.get("/connections/webhook")
    yield "/connections/<name>/deliveries/<number>", _delivery(visitor, 1)
    yield "/x-ray", visitor.get("/x-ray")
    yield from _being_sent(store, visitor)
    for _ in range(5):
        store.clock.forward(minutes=30)
        beat(store.parts.database, this_forwarder(), store.clock())
        store.parts.sender.deliver_due()
    yield "/connections", visitor.get("/connections")
    yield "/connections/<name>", visitor.get("/connections/webhook")
    yield "/connections/<name>/deliveries/<number>", _delivery(visitor, 1)
    yield "/connections/<name>/deliveries", visitor.get("/connections/webhook/deliveries")
    page = visitor.submit(visitor.get("/connections/webhook"), "connection-resume")
    yield "/connections/<name>", visitor.follow(page)
    while store.parts.sender.deliver_due():
        pass
    of_person = visitor.get(_delivery(visitor, 1).one("delivery-of-person")["href"])
    older = visitor.get(of_person.one("deliveries-older")["href"])
    yield "/connections/<name>/deliveries", older
    nobody = visitor.get("/connections/webhook/deliveries?mpid=x")
    yield "/connections/<name>/deliveries", nobody
    yield from _trying_out(store, visitor, receiver)
    yield from _replaying(store, visitor)
    yield from _left_alone(store, visitor, receiver)
    yield from _setting(store, visitor)


def _left_alone(store: Store, visitor: Browser, receiver: Receiver) -> Iterable[tuple[str, Page]]:
    """Nobody answers any of several people."""
    receiver.answer = lambda _: Reply(503)
    for _ in range(5):
        store.browser().get("/about")
    for _ in range(10):
        store.parts.sender.deliver_due()
    yield "/connections", visitor.get("/connections")
    yield "/connections/<name>", visitor.get("/connections/webhook")


def _trying_out(store: Store, visitor: Browser, receiver: Receiver) -> Iterable[tuple[str, Page]]:
    """A test event, which the receiver does not take."""
    receiver.script(Reply(301, {"Location": "https://new.example", "Retry-After": "60"}))
    sent = visitor.submit(visitor.get("/connections/webhook"), "connection-send-test")
    yield "/connections/<name>", visitor.follow(sent)
    store.parts.sender.deliver_due()
    failed = visitor.get("/connections/webhook")
    yield "/connections/<name>", failed
    delivery = visitor.get(failed.one("connection-test-delivery")["href"])
    yield "/connections/<name>/deliveries/<number>", delivery
    visitor.submit(delivery, "delivery-try-now")
    store.parts.sender.deliver_due()


def _being_sent(store: Store, visitor: Browser) -> Iterable[tuple[str, Page]]:
    store.clock.forward(minutes=1)
    with store.parts.database.write() as connection:
        outbox.claim_due(connection, clock=lambda _: store.clock(), lease_ms=30_000)
    yield "/connections", visitor.get("/connections")
    yield "/connections/<name>", visitor.get("/connections/webhook")
    outbox.forget_leases(store.parts.database)


def _delivery(visitor: Browser, number: int) -> Page:
    return visitor.get(f"/connections/webhook/deliveries/{number}")


def _replaying(store: Store, visitor: Browser) -> Iterable[tuple[str, Page]]:
    store.clock.forward(minutes=1)
    yield "/connections", visitor.get("/connections")
    dead = visitor.get("/connections/webhook/deliveries?state=dead")
    yield "/connections/<name>/deliveries", dead
    wrong = visitor.get("/connections/webhook/replay?since=x&until=y")
    yield "/connections/<name>/replay", wrong
    asked = visitor.get(dead.one("deliveries-replay")["href"])
    yield "/connections/<name>/replay", asked
    first = visitor.follow(visitor.submit(asked, "replay-start"))
    yield "/connections/<name>/replays/<number>", first
    for _ in range(2):
        store.parts.sender.deliver_due()
        again = visitor.get("/connections/webhook/replay?what=all")
        visitor.submit(again, "replay-start")
    yield "/connections/<name>/replays/<number>", visitor.get(first.path)
    yield from _still_choosing(store, visitor)
    yield from _given_up_as_a_replay(store, visitor)
    yield "/connections/<name>/deliveries", visitor.get("/connections/webhook/deliveries")
    yield "/connections/<name>", visitor.get("/connections/webhook")


def _still_choosing(store: Store, visitor: Browser) -> Iterable[tuple[str, Page]]:
    """A replay that nobody has gone on with yet."""
    with store.parts.database.write() as connection:
        output = find_output(connection, "default", "webhook")
        assert output is not None
        asked = outbox.ask_for_replay(
            connection, output, outbox.ReplayChoice(), now_ms=store.clock()
        )
    page = visitor.get(f"/connections/webhook/replays/{asked.id}")
    yield "/connections/<name>/replays/<number>", page


def _given_up_as_a_replay(store: Store, visitor: Browser) -> Iterable[tuple[str, Page]]:
    """As if a message that was delivered before had used up its attempts since."""
    with store.parts.database.write() as connection:
        connection.execute(
            update(messages)
            .where(messages.c.delivered_before_ms.is_not(None))
            .values(state="dead", closed_at_ms=store.clock())
        )
    listed = visitor.get("/connections/webhook/deliveries?state=dead")
    yield "/connections/<name>/deliveries", listed
    for link in listed.all("delivery-link"):
        yield "/connections/<name>/deliveries/<number>", visitor.get(link["href"])


def _full(store: Store, visitor: Browser, path: str) -> Page:
    """A page of an output at which too much waits."""
    (webhook,) = [row["id"] for row in store.rows("outputs") if row["name"] == "webhook"]
    with store.parts.database.write() as connection:
        mark_full(connection, webhook, is_full=True)
    return visitor.get(path)


def _setting(store: Store, visitor: Browser) -> Iterable[tuple[str, Page]]:
    form = visitor.get("/connections")
    yield "/connections", form
    wrong = visitor.submit(form, "connection-add", name="X", url="x")
    yield "/connections", wrong
    page = visitor.follow(visitor.submit(form, "connection-add", name="second"))
    yield "/connections/<name>", page
    fields = ("url", "authorization", "unique_id", "left_out_metadata")
    bad = visitor.submit(page, "connection-change", **dict.fromkeys(fields, "\x00"))
    yield "/connections/<name>", bad
    bad = visitor.submit(page, "connection-add-secret", secret="x")
    yield "/connections/<name>", bad
    visitor.follow(visitor.submit(page, "connection-change", send_as_batch="y"))
    yield "/connections", visitor.get("/connections")
    page = visitor.get(page.path)
    yield "/connections/<name>", page
    visitor.get("/about")
    yield "/x-ray", visitor.get("/x-ray")
    changed = visitor.submit(page, "connection-change", authorization="Bearer x", is_active=None)
    page = visitor.follow(changed)
    yield "/connections/<name>", page
    yield "/connections", visitor.get("/connections")
    page = visitor.follow(visitor.submit(page, "connection-add-secret"))
    yield "/connections/<name>", page
    asked = visitor.get(page.one("connection-remove")["href"])
    yield "/connections/<name>/remove", asked
    visitor.get("/about")
    yield "/x-ray", visitor.get("/x-ray")
    yield "/connections/<name>", _full(store, visitor, "/connections/webhook")
    yield "/connections", visitor.get("/connections")
    visitor.submit(visitor.get("/workspaces"), "workspace-add", id="kiosk")
    yield "/connections", visitor.get("/connections?workspace=kiosk")
    unwanted = visitor.get("/connections/webhook")
    visitor.submit(unwanted, "connection-change", is_active=None)
    visitor.get("/about")
    yield "/x-ray", visitor.get("/x-ray")


def _identify(visitor: Browser, *, previous_mpid: str | None = None, **identities: str) -> str:
    asked = {"known_identities": identities, "previous_mpid": previous_mpid}
    return str(_call(visitor, "identify", **asked)["mpid"])


def _call(visitor: Browser, action: str, **asked: Any) -> dict[str, Any]:
    body = {"environment": "development", **asked}
    headers = {"x-mp-key": "demo-web-key"}
    page = visitor.open(f"/identity/v1/{action}", method="POST", json=body, headers=headers)
    assert page.status == 200, page.html
    answer: dict[str, Any] = page.response.get_json()
    return answer


def _post_to_inbox(store: Store, visitor: Browser, *, times: int) -> None:
    path = f"/inbox/{store.parts.secrets.inbox_token}"
    at = store.clock() // 1_000
    secret = store.parts.secrets.webhook_secret
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at),
        "webhook-signature": sign([secret], webhook_id="msg_1", timestamp_seconds=at, body=b"{}"),
    }
    for _ in range(times):
        assert visitor.open(path, method="POST", data=b"{}", headers=headers).status == 204


def _entering(guarded: Store) -> Iterable[tuple[str, Page]]:
    visitor = guarded.browser()
    form = visitor.get("/operator")
    yield "/operator", form
    yield "/operator", visitor.submit(form, "operator-enter", token="wrong")
