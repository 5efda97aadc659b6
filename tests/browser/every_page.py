"""The ways past every page of the store, in each of its states, for tests that look at all of them."""

from collections.abc import Iterator
from typing import Final

from playwright.sync_api import expect

from tests.browser.shopper import BOWL, OPERATOR_TOKEN, TEE, Shopper
from tests.browser.store_process import StoreProcess

TOO_LONG_WORD: Final = (
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
)


def shopping(shopper: Shopper) -> Iterator[str]:
    """A guest, from the welcome to the thank-you page."""
    shopper.open("/")
    yield "landing with the welcome"
    shopper.answer_welcome()
    yield "landing"
    shopper.see("x-ray").locator("summary").first.click()
    yield "landing with the x-ray open"
    shopper.see("x-ray").locator("summary").first.click()
    shopper.open("/?category=Apparel")
    yield "landing with a category"
    shopper.open("/cart")
    yield "cart, empty"
    shopper.open(f"/products/{TEE}")
    yield "product"
    shopper.page.get_by_label("Quantity").fill("")
    shopper.press("add-to-cart")
    yield "product with mistakes"
    shopper.choose(quantity=99, size="2XL")
    shopper.press("add-to-cart")
    yield "product with a notice"
    shopper.open("/cart")
    yield "cart"
    shopper.press("checkout")
    yield "checkout, shipping"
    shopper.see("name").fill("")
    shopper.see("email").fill("nowhere")
    shopper.press("continue-to-payment")
    yield "checkout, shipping with mistakes"
    shopper.see("name").fill(TOO_LONG_WORD[:80])
    shopper.see("email").fill("some.body@example.com")
    shopper.press("continue-to-payment")
    yield "checkout, payment"
    shopper.see("card-number").fill("1")
    shopper.press("continue-to-review")
    yield "checkout, payment with mistakes"
    shopper.press("continue-to-review")
    yield "checkout, review"
    shopper.press("place-order")
    yield "order"


def account(shopper: Shopper) -> Iterator[str]:
    """Somebody who signs up, changes the profile, orders and opts out."""
    shopper.open("/account")
    yield "account, signed out"
    shopper.press("sign-in")
    yield "account with mistakes"
    shopper.open("/account/sign-up")
    yield "sign-up"
    shopper.press("sign-up")
    yield "sign-up with mistakes"
    shopper.sign_up(TOO_LONG_WORD[:80], f"{TOO_LONG_WORD[:60].lower()}@example.com")
    yield "welcome"
    shopper.open("/account")
    yield "account, no orders"
    shopper.open(f"/products/{BOWL}")
    shopper.press("add-to-cart")
    shopper.open("/cart")
    shopper.check_out()
    shopper.open("/account")
    yield "account"
    shopper.press("edit-profile")
    yield "profile"
    shopper.see("name").fill("")
    shopper.press("save-profile")
    yield "profile with mistakes"
    shopper.open("/about")
    yield "about"
    shopper.open("/privacy")
    yield "privacy"
    shopper.press("opt-out")
    yield "privacy, opted out"


def errors(shopper: Shopper) -> Iterator[str]:
    """Wrong addresses and refused forms."""
    shopper.open("/products/nothing")
    yield "404"
    shopper.open("/cart/lines")
    yield "405"
    shopper.open("/account")
    shopper.page.locator("form [name=csrf_token]").first.evaluate("field => { field.value = ''; }")
    shopper.press("sign-in")
    yield "400"
    shopper.page.goto(shopper.address.replace("127.0.0.1", "stranger.localhost"))
    yield "400 without anything"


def observing(shopper: Shopper, store: StoreProcess) -> Iterator[str]:
    """Somebody who looks behind the scenes, at a store with an operator token."""
    shopper.open(f"/products/{BOWL}")
    yield "product, the x-ray closed to strangers"
    shopper.open("/inbox")
    yield "operator"
    shopper.see("operator-token").fill("wrong")
    shopper.press("operator-enter")
    yield "operator with mistakes"
    shopper.see("operator-token").fill(OPERATOR_TOKEN)
    shopper.press("operator-enter")
    store.wait_until_delivered()
    shopper.open("/inbox")
    yield "inbox"
    shopper.see("inbox-request").first.get_by_role("link").first.click()
    shopper.see("inbox-body").wait_for()
    for peek in shopper.page.locator(".inbox-request summary").all():
        peek.click()
    yield "inbox, one request"
    yield from receiving(shopper)
    shopper.open("/x-ray")
    for peek in shopper.see("x-ray-event").first.locator("summary").all():
        peek.click()
    yield "x-ray"
    yield from delivering(shopper)
    yield from explaining(shopper)
    shopper.open("/intake")
    yield "intake, nothing in quarantine"
    shopper.page.request.post(
        f"{shopper.address}/webevents/v3/JS/demo-web-key/events", data=TOO_LONG_WORD * 9
    )
    shopper.open("/intake")
    shopper.see("quarantined-batch").locator("summary").click()
    yield "intake"
    yield from side_by_side(shopper)


def receiving(shopper: Shopper) -> Iterator[str]:
    """An observer, who turns the dial of the inbox, and makes another one and removes it."""
    shopper.see("inbox-dial-exactly").locator("summary").click()
    shopper.see("inbox-dial-status").fill(TOO_LONG_WORD)
    shopper.see("inbox-dial-delay").fill("-1")
    shopper.press("inbox-dial-set")
    yield "inbox, the dial with mistakes"
    shopper.open(f"/inbox?q={TOO_LONG_WORD}")
    yield "inbox, nothing found"
    shopper.open("/inbox/sessions")
    shopper.see("inbox-secret").fill("wrong")
    shopper.press("inbox-add")
    yield "inboxes with mistakes"
    shopper.see("inbox-name").fill(TOO_LONG_WORD[:80])
    shopper.press("inbox-add")
    yield "inbox, another one, empty"
    shopper.see("inbox-preset").get_by_text("410 Gone").click()
    address = shopper.see("inbox-address").inner_text()
    for _ in range(2):
        shopper.page.request.post(address, data=TOO_LONG_WORD, headers={"webhook-id": "msg_1"})
    shopper.see("inbox-secret-change").locator("summary").click()
    shopper.see("inbox-secret").fill("wrong")
    shopper.press("inbox-secret-set")
    yield "inbox, another one with mistakes"
    shopper.see("inbox-request").first.get_by_role("link").first.click()
    yield "inbox, a request without an event"
    shopper.press("inbox-remove-one")
    yield "inbox, asked whether to remove a request"
    shopper.press("inbox-keep")
    shopper.press("inbox-remove")
    yield "inbox, asked whether to remove it"
    shopper.press("inbox-forget")
    yield "inboxes with a notice"


def delivering(shopper: Shopper) -> Iterator[str]:
    """An observer, who makes a connection to where nobody listens, pauses it and removes it."""
    shopper.open("/connections")
    yield "connections"
    shopper.see("connection-name").fill("Second")
    shopper.see("connection-url").fill(TOO_LONG_WORD)
    shopper.press("connection-add")
    yield "connections with mistakes"
    name = "c" * 40
    shopper.see("connection-name").fill(name)
    shopper.see("connection-url").fill(f"http://127.0.0.1:1/{TOO_LONG_WORD[:20]}")
    shopper.press("connection-add")
    yield "connection with a new secret"
    shopper.see("connection-url").fill(TOO_LONG_WORD)
    shopper.see("connection-unique-id").fill(TOO_LONG_WORD * 3)
    shopper.see("connection-left-out-metadata").fill(TOO_LONG_WORD)
    shopper.press("connection-change")
    yield "connection with mistakes"
    shopper.open("/about")
    shopper.open("/connections")
    expect(shopper.see("connection-attempt").filter(has_text="no connection").first).to_be_visible()
    yield "connections, one of them failing"
    shopper.open("/x-ray")
    yield "x-ray, with several connections"
    shopper.open(f"/connections/{name}")
    shopper.press("connection-send-test")
    yield "connection, failing, with a test event"
    shopper.press("connection-test-delivery")
    yield "delivery of a test event"
    shopper.open(f"/connections/{name}")
    shopper.press("connection-add-secret")
    shopper.press("connection-pause")
    yield "connection, paused"
    shopper.press("connection-deliveries")
    yield "deliveries"
    with shopper.page.expect_event("load"):
        shopper.see("delivery-link").last.click()
    yield "delivery"
    shopper.open(f"/connections/{name}/deliveries?state=dead&mpid={TOO_LONG_WORD}")
    yield "deliveries with a mistake"
    shopper.open("/connections/webhook/replay?what=all&since=soon")
    yield "deliver again with mistakes"
    shopper.open("/connections/webhook/replay?what=all")
    yield "deliver again"
    shopper.press("replay-start")
    yield "delivering again"
    shopper.open(f"/connections/{name}/remove")
    yield "connection, asked whether to remove it"
    shopper.press("connection-forget")
    yield "connections with a notice"
    shopper.open("/connections?workspace=nix")
    yield "connections of no workspace"


def explaining(shopper: Shopper) -> Iterator[str]:
    """An observer, who looks at profiles and asks what would happen if."""
    anonymous = shopper.mpid
    shopper.sign_up(TOO_LONG_WORD[:80], f"{TOO_LONG_WORD[:60].lower()}@example.com")
    shopper.edit_profile(email="shorter@example.com", phone="+1 212 555 0100")
    shopper.sign_out()
    shopper.open("/profiles")
    yield "profiles"
    shopper.see("profile-search").fill(TOO_LONG_WORD)
    shopper.press("profile-find")
    yield "profiles, nobody found"
    shopper.open(f"/profiles/{anonymous}")
    shopper.see("history-chapter").last.locator("summary").click()
    shopper.see("profile-event").first.locator("summary").click()
    yield "profile, known"
    shopper.open(f"/profiles/{shopper.mpid}")
    yield "profile, anonymous"
    shopper.see("what-if").locator("summary").first.click()
    shopper.see("what-if-value").nth(1).fill(TOO_LONG_WORD)
    shopper.press("what-if-ask")
    yield "profile, a question answered"
    shopper.see("what-if-value").nth(1).fill(TOO_LONG_WORD * 4)
    shopper.see("what-if-previous-mpid").fill(TOO_LONG_WORD)
    shopper.press("what-if-ask")
    yield "profile, a question with mistakes"
    question = f"action=modify&mpid={anonymous}&type=email&old_value=x&new_value={TOO_LONG_WORD}"
    shopper.open(f"/profiles/{anonymous}?{question}")
    yield "profile, a question about a modify"
    shopper.open("/profiles?kind=known&action=modify&mpid=x&type=nose&new_value=%00")
    yield "profiles of one kind, a question about a modify with mistakes"
    shopper.open(f"/profiles?q={TOO_LONG_WORD[:60].lower()}%40example.com")
    yield "profiles, who had it before"
    shopper.open("/profiles?action=search&type=email&value=nobody%40example.com")
    yield "profiles, a search that would find nobody"


def side_by_side(shopper: Shopper) -> Iterator[str]:
    """An observer, who makes a workspace with a name as long as can be, changes it and removes it."""
    name = "w" * 40
    shopper.open("/workspaces")
    yield "workspaces"
    for details in shopper.page.locator("main details").all():
        details.locator("summary").click()
    shopper.see("workspace-login-ids").fill(TOO_LONG_WORD)
    shopper.see("workspace-key").fill("ä")
    shopper.press("workspace-add")
    yield "workspaces with mistakes"
    shopper.see("workspace-name").fill(name)
    shopper.see("workspace-login-ids").fill("")
    shopper.see("workspace-key").fill("k" * 100)
    shopper.see("workspace-secret-field").fill("s" * 200)
    shopper.press("workspace-add")
    yield "workspace"
    shopper.press("workspace-show-secret")
    yield "workspace with its secret"
    shopper.page.locator("main form details").first.locator("summary").click()
    shopper.see("workspace-immutable-ids").fill("other")
    shopper.press("workspace-change")
    yield "workspace with mistakes"
    shopper.open("/workspaces/default")
    yield "workspace, the shop's own"
    shopper.open(f"/profiles?workspace={name}")
    yield "profiles of another workspace, nobody yet"
    shopper.open(f"/workspaces/{name}/remove")
    yield "workspace, asked whether to remove it"
    shopper.press("workspace-forget")
    yield "workspaces with a notice"
    shopper.open(f"/workspaces/{name}")
    yield "workspace, not found"
