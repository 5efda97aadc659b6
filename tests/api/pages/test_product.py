"""A product's page: the choices before buying, and what comes back when one is missing."""

from tests.api.browsing import Browser
from tests.api.conftest import Store
from tests.api.journeys import BALL, TEE


def test_a_product_with_choices_offers_them(store: Store, visitor: Browser) -> None:
    page = visitor.get(f"/products/{TEE}")
    product = store.parts.catalog.get(TEE)
    assert product is not None
    assert page.text("product-name") == page.headline == "Unisex Full Logo Tee"
    assert page.text("product-price") == "$9.00"
    for testid, offered in (("product-color", product.colors), ("product-size", product.sizes)):
        options = [option["value"] for option in page.one(testid).with_tag("option")]
        assert options == ["", *offered]


def test_a_product_without_choices_asks_for_the_quantity_alone(visitor: Browser) -> None:
    page = visitor.get(f"/products/{BALL}")
    assert not page.has("product-color")
    assert not page.has("product-size")
    assert page.one("product-quantity")["value"] == "1"


def test_seeing_a_product_logs_it(store: Store, visitor: Browser) -> None:
    visitor.get(f"/products/{TEE}")
    (event,) = store.events(since=1)
    assert event.label == "commerce_event view_detail"
    assert event.data["currency_code"] == "USD"
    assert event.action == {
        "action": "view_detail",
        "products": [
            {
                "id": TEE,
                "name": "Unisex Full Logo Tee",
                "brand": "mParticle",
                "category": "Apparel",
                "price": 9,
                "quantity": 1,
                "total_product_amount": 9,
            }
        ],
    }


def test_an_unknown_product_is_not_found(store: Store, visitor: Browser) -> None:
    visitor.get("/about")
    before = store.labels()
    for product_id in ("1", "128743x", "%00", "../128743", "１２８７４３"):
        assert visitor.get(f"/products/{product_id}").status == 404
    assert store.labels() == before


MISTAKES = [
    ({"color": ""}, "product-color", "Choose a color."),
    ({"size": ""}, "product-size", "Choose a size."),
    ({"color": "Ultraviolet"}, "product-color", "Not a valid choice."),
    ({"quantity": ""}, "product-quantity", "Enter a whole number from 1 to 99."),
    ({"quantity": "0"}, "product-quantity", "Enter a whole number from 1 to 99."),
    ({"quantity": "-1"}, "product-quantity", "Enter a whole number from 1 to 99."),
    ({"quantity": "100"}, "product-quantity", "Enter a whole number from 1 to 99."),
    ({"quantity": "1.5"}, "product-quantity", "Enter a whole number from 1 to 99."),
    ({"quantity": "many"}, "product-quantity", "Enter a whole number from 1 to 99."),
]


def test_a_mistake_comes_back_at_its_field_and_adds_nothing(store: Store, visitor: Browser) -> None:
    page = visitor.get(f"/products/{TEE}")
    before = store.labels()
    product = store.parts.catalog.get(TEE)
    assert product is not None
    right = {"color": product.colors[0], "size": "M", "quantity": "2"}
    for values, field, complaint in MISTAKES:
        page = visitor.submit(page, "add-to-cart", **{**right, **values})
        assert page.status == 422, values
        assert complaint in page.text(f"{field}-error")
        assert page.one(field)["aria-invalid"] == "true"
        assert "autofocus" in page.one(field).attributes, "the browser leads there"
        assert page.text("cart-count") == "0"
    assert store.labels() == before
    corrected = visitor.submit(page, "add-to-cart", **right)
    assert corrected.location == f"/products/{TEE}"
