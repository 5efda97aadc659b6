"""A person at a browser, with the verbs of the store; and somebody who watches the browser."""

from typing import Final
from urllib.parse import urlsplit

from playwright.sync_api import (
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    Response,
    Route,
    WebError,
    expect,
)

DEMO_PASSWORD: Final = "higgs-boson"
OPERATOR_TOKEN: Final = "who-may-look"
TEE: Final = "128747"
"""Unisex Higgs Tee, $8.00, in one colour and six sizes."""
BOWL: Final = "128737"
"""Absobu Dog Bowl, $28.00, with nothing to choose."""


class Watch:
    """Notes what must not happen in a browser.

    Errors on the console (a broken content security policy shows there), scripts that fail, requests
    that fail or are answered with an error, and anything that asks for another machine.
    """

    def __init__(self, context: BrowserContext) -> None:
        self.faults: list[str] = []
        self.is_strict = True
        self.own_hosts = {"127.0.0.1"}
        context.on("console", self._on_console)
        context.on("weberror", self._on_error)
        context.on("request", self._on_request)
        context.on("requestfailed", self._on_failure)
        context.on("response", self._on_response)

    def _note(self, fault: str) -> None:
        if self.is_strict:
            self.faults.append(fault)

    def _on_console(self, message: ConsoleMessage) -> None:
        # A page that answers 422 or 404 is on the console too; _on_response judges those.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            self._note(f"console: {message.text}")

    def _on_error(self, error: WebError) -> None:
        self._note(f"script: {error.error}")

    def _on_request(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme != "data" and url.hostname not in self.own_hosts:
            self.faults.append(f"asked elsewhere: {request.url}")

    def _on_failure(self, request: Request) -> None:
        # Leaving a page, or pressing a button twice, gives up what was under way.
        if request.failure != "net::ERR_ABORTED":
            self._note(f"failed: {request.url}: {request.failure}")

    def _on_response(self, response: Response) -> None:
        is_page = response.request.is_navigation_request()
        if response.status >= 500 or (response.status >= 400 and not is_page):
            self._note(f"answered {response.status}: {response.url}")


class Shopper:
    """A visitor. Each has a browser context, and so a device, of their own.

    Args:
        page: where they look first.
        address: of the store.
    """

    def __init__(self, page: Page, address: str, watch: Watch) -> None:
        self.page = page
        self.address = address
        self.watch = watch
        self._clicks_twice = False
        self._is_clicking = False
        self._held: list[Route] = []

    def another_tab(self) -> "Shopper":
        """The same person with another tab open."""
        return Shopper(self.page.context.new_page(), self.address, self.watch)

    # What is to be seen

    def see(self, test_id: str) -> Locator:
        """What carries this test id."""
        return self.page.get_by_test_id(test_id)

    @property
    def mpid(self) -> str:
        """Who the page says they are, once that is known."""
        shown = self.see("mpid").first
        expect(shown).not_to_have_attribute("data-mpid", "")
        return shown.get_attribute("data-mpid") or ""

    def is_seen_as(self, state: str) -> None:
        """The page says `anonymous`, `known` or `pending`."""
        expect(self.see("identity-state").first).to_have_attribute("data-state", state)

    # Looking around

    def open(self, path: str) -> None:
        """Type an address."""
        self.page.goto(self.address + path)

    def press(self, test_id: str) -> None:
        """Press a button or follow a link, and arrive at what comes then."""
        is_button = self.page.locator(f"button[data-testid={test_id}]").count() > 0
        with self.page.expect_event("load"):
            if is_button and self._clicks_twice:
                self._double_click(test_id)
            else:
                self.see(test_id).click()

    def press_everything_twice(self) -> None:
        """From now on, click each button a second time before there can be an answer to the first."""
        self._clicks_twice = True
        self.page.route("**/*", self._hold_forms)

    def _hold_forms(self, route: Route) -> None:
        if self._is_clicking and route.request.method == "POST":
            self._held.append(route)
        else:
            route.continue_()

    def _double_click(self, test_id: str) -> None:
        self._is_clicking = True
        with self.page.expect_request(lambda request: request.method == "POST"):
            self.see(test_id).dblclick()
        self._is_clicking = False
        while self._held:
            self._held.pop().continue_()

    def enter(self) -> None:
        """Come in by the front door, and answer the welcome, which loads no page again."""
        self.open("/")
        self.answer_welcome()

    def answer_welcome(self) -> None:
        """Answer the welcome with its button."""
        with self.page.expect_response("**/welcome"):
            self.see("landing-button").click()
        expect(self.see("landing-button")).to_be_hidden()

    def look_at(self, product_id: str) -> None:
        """Open a product from the list on this page."""
        card = self.page.locator(f'[data-testid=product-card][data-product-id="{product_id}"]')
        with self.page.expect_event("load"):
            card.get_by_role("link").click()

    # The cart and the checkout

    def choose(self, *, quantity: int = 1, size: str = "") -> None:
        """Fill in the form on a product's page."""
        if size:
            self.page.get_by_label("Size").select_option(size)
        self.page.get_by_label("Quantity").fill(str(quantity))

    def add_to_cart(self, product_id: str, *, quantity: int = 1, size: str = "") -> None:
        """From a page with the product list on it to the product, and into the cart with it."""
        self.look_at(product_id)
        self.choose(quantity=quantity, size=size)
        self.press("add-to-cart")
        expect(self.see("notice")).to_have_attribute("data-category", "added")

    def open_cart(self) -> None:
        """By the menu."""
        self.press("desktop-nav-cart-button")

    def go_to_review(self) -> None:
        """From the cart to the last step of the checkout, with all that is prefilled there."""
        self.press("checkout")
        self.press("continue-to-payment")
        self.press("continue-to-review")

    def check_out(self) -> str:
        """From the cart to the thank-you page. Returns the order's number."""
        self.go_to_review()
        self.press("place-order")
        return self.order_number

    @property
    def order_number(self) -> str:
        """The number on the thank-you page."""
        return self.see("order-number").inner_text()

    # The account

    def sign_up(self, name: str, email: str, *, phone: str = "") -> str:
        """Create an account. Returns the customer id that the welcome page shows."""
        self.open("/account/sign-up")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("E-mail").fill(email)
        self.page.get_by_label("Phone").fill(phone)
        self.press("sign-up")
        return self.see("customer-id").inner_text()

    def fill_sign_in(self, user_id: str, password: str = DEMO_PASSWORD) -> None:
        """Open the account page and type who they are."""
        self.open("/account")
        self.page.get_by_label("User id or e-mail").fill(user_id)
        self.page.get_by_label("Password").fill(password)

    def sign_in(self, user_id: str) -> None:
        """With a customer id or an e-mail address."""
        self.fill_sign_in(user_id)
        self.press("sign-in")
        expect(self.see("account-name")).to_be_visible()

    def sign_out(self) -> None:
        """From the account page."""
        self.open("/account")
        self.press("sign-out")
        expect(self.see("sign-in")).to_be_visible()

    def edit_profile(self, **fields: str) -> None:
        """Change name, email or phone; the others stay."""
        self.open("/account/profile")
        for name, value in fields.items():
            self.see(name).fill(value)
        self.press("save-profile")
        expect(self.see("account-name")).to_be_visible()

    # Privacy

    def opt_out(self) -> None:
        """By the link at the foot of every page."""
        self.press("footer-privacy")
        self.press("opt-out")

    def opt_in(self) -> None:
        """Change one's mind."""
        self.press("footer-privacy")
        self.press("opt-in")

    # Behind the scenes

    def open_inbox(self) -> None:
        """At a store that asks for the operator token, once."""
        self.open("/inbox")
        if self.see("operator-token").count():
            self.see("operator-token").fill(OPERATOR_TOKEN)
            self.press("operator-enter")
