"""The cart: lines per variant, changes that log their difference, and nobody else's lines."""

from tests.api.browsing import Browser, Page
from tests.api.conftest import Logged, Store
from tests.api.journeys import BALL, BLANKET, TEE, add_to_cart, sign_in, sign_out, sign_up


def commerce(store: Store) -> list[Logged]:
    """Everything done with the cart, in order."""
    done = ("add_to_cart", "remove_from_cart")
    return [event for event in store.events() if event.name in done]


def lines(page: Page) -> list[tuple[str, str]]:
    """The cart's lines by product and quantity."""
    quantities = [field["value"] for field in page.all("cart-item-quantity")]
    return list(
        zip([line["data-product-id"] for line in page.all("cart-line")], quantities, strict=True)
    )


def test_an_empty_cart_says_so_and_offers_no_checkout(store: Store, visitor: Browser) -> None:
    page = visitor.get("/cart")
    assert page.has("cart-empty")
    assert not page.has("checkout")
    (view,) = store.events(since=1)
    assert view.data["screen_name"] == "View My Cart"
    assert view.attributes == {"number_of_products": 0, "total_product_amounts": 0}


def test_adding_logs_product_variant_and_amount(store: Store, visitor: Browser) -> None:
    product = store.parts.catalog.get(TEE)
    assert product is not None
    color = product.colors[1]
    add_to_cart(visitor, TEE, color=color, size="M", quantity="3")
    (event,) = commerce(store)
    assert event.data["currency_code"] == "USD"
    assert event.action == {
        "action": "add_to_cart",
        "products": [
            {
                "id": TEE,
                "name": "Unisex Full Logo Tee",
                "brand": "mParticle",
                "category": "Apparel",
                "price": 9,
                "quantity": 3,
                "total_product_amount": 27,
                "variant": f"{color} / M",
                "custom_attributes": {"color": color, "size": "M"},
            }
        ],
    }


def test_lines_are_per_variant_with_totals(store: Store, visitor: Browser) -> None:
    product = store.parts.catalog.get(TEE)
    assert product is not None
    add_to_cart(visitor, TEE, color=product.colors[0], size="S")
    add_to_cart(visitor, TEE, color=product.colors[0], size="M", quantity="2")
    add_to_cart(visitor, TEE, color=product.colors[0], size="S", quantity="4")
    add_to_cart(visitor, BALL)
    page = visitor.get("/cart")
    assert lines(page) == [(TEE, "5"), (TEE, "2"), (BALL, "1")]
    assert [total.text for total in page.all("cart-line-total")] == ["$45.00", "$18.00", "$2.00"]
    assert page.text("cart-subtotal") == "$65.00"
    assert page.text("cart-count") == "8"
    assert store.events()[-1].attributes == {"number_of_products": 8, "total_product_amounts": 65}


def test_a_line_holds_99_and_only_what_went_in_is_logged(store: Store, visitor: Browser) -> None:
    add_to_cart(visitor, BALL, quantity="98")
    page = add_to_cart(visitor, BALL, quantity="5")
    assert "99 at most; 1 more went in" in visitor.follow(page).notices[0]
    page = add_to_cart(visitor, BALL, quantity="5")
    assert "this one is full" in visitor.follow(page).notices[0]
    assert [event.action["products"][0]["quantity"] for event in commerce(store)] == [98, 1]


def test_a_form_sent_again_adds_once(store: Store, visitor: Browser) -> None:
    form = visitor.get(f"/products/{BALL}").form_of("add-to-cart")
    assert {visitor.send(form).location for _ in range(3)} == {f"/products/{BALL}"}
    assert lines(visitor.get("/cart")) == [(BALL, "1")]
    assert len(commerce(store)) == 1


def test_a_new_quantity_logs_the_difference(store: Store, visitor: Browser) -> None:
    add_to_cart(visitor, BALL, quantity="2")
    for quantity in ("5", "5", "4"):
        form = visitor.get("/cart").form_of("cart-item-update").with_values({"quantity": quantity})
        assert {visitor.send(form).location for _ in range(2)} == {"/cart"}
        assert lines(visitor.get("/cart")) == [(BALL, quantity)]
    assert [
        (event.name, event.action["products"][0]["quantity"]) for event in commerce(store)[1:]
    ] == [("add_to_cart", 3), ("remove_from_cart", 1)]


def test_a_wrong_quantity_changes_nothing_and_is_explained(store: Store, visitor: Browser) -> None:
    add_to_cart(visitor, BALL, quantity="2")
    page = visitor.get("/cart")
    for quantity in ("", "0", "100", "-3", "2.5", "two", "9" * 5_000):
        page = visitor.follow(visitor.submit(page, "cart-item-update", quantity=quantity))
        assert page.all("notice")[-1]["data-category"] == "error"
        assert lines(page) == [(BALL, "2")]
    assert len(commerce(store)) == 1


def test_removing_a_line_logs_all_of_it_once(store: Store, visitor: Browser) -> None:
    add_to_cart(visitor, BLANKET, quantity="3")
    add_to_cart(visitor, BALL)
    form = visitor.get("/cart").form_of("cart-item-remove")
    assert {visitor.send(form).location for _ in range(2)} == {"/cart"}
    assert lines(visitor.get("/cart")) == [(BALL, "1")]
    removal = commerce(store)[-1]
    assert removal.action["action"] == "remove_from_cart"
    assert removal.action["products"][0]["quantity"] == 3
    assert removal.action["products"][0]["total_product_amount"] == 123
    assert len(commerce(store)) == 3


def test_a_line_removed_in_another_tab_is_not_found(store: Store, visitor: Browser) -> None:
    add_to_cart(visitor)
    one_tab, other_tab = visitor.get("/cart"), visitor.get("/cart")
    visitor.submit(one_tab, "cart-item-remove")
    assert visitor.submit(other_tab, "cart-item-remove").status == 404
    assert visitor.submit(other_tab, "cart-item-update", quantity="3").status == 404
    assert len(commerce(store)) == 2


def test_a_cart_survives_reloads_and_restarts_of_the_browser(
    store: Store, visitor: Browser
) -> None:
    add_to_cart(visitor, BALL, quantity="4")
    store.clock.forward(minutes=60 * 24)
    assert lines(visitor.get("/cart")) == [(BALL, "4")]


def test_a_cart_comes_along_at_sign_in_and_stays_with_the_customer(
    store: Store, visitor: Browser
) -> None:
    sign_in(visitor)
    add_to_cart(visitor, BALL, quantity="60")
    sign_out(visitor)
    assert visitor.get("/cart").has("cart-empty")
    add_to_cart(visitor, BALL, quantity="50")
    add_to_cart(visitor, BLANKET)
    sign_in(visitor)
    assert lines(visitor.get("/cart")) == [(BALL, "99"), (BLANKET, "1")]
    elsewhere = store.browser()
    sign_in(elsewhere)
    assert lines(elsewhere.get("/cart")) == [(BALL, "99"), (BLANKET, "1")]


def test_a_cart_comes_along_at_sign_up(visitor: Browser) -> None:
    add_to_cart(visitor, BALL, quantity="2")
    sign_up(visitor)
    assert lines(visitor.get("/cart")) == [(BALL, "2")]


def test_an_unknown_product_cannot_be_added(store: Store, visitor: Browser) -> None:
    form = visitor.get(f"/products/{BALL}").form_of("add-to-cart")
    assert visitor.send(form.with_values({"product_id": "no-such"})).status == 404
    assert visitor.send(form.with_values({"product_id": None})).status == 404
    assert commerce(store) == []
