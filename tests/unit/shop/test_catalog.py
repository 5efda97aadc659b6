"""What the store offers is right, and a wrong product file is refused with the place named."""

import pytest

from higgs_shop.shop import (
    CatalogError,
    Category,
    UnknownChoice,
    Variant,
    read_catalog,
    shipped_catalog,
)

MUG = """
[[product]]
id = "7"
label = "Mug"
category = "Kitchen"
brand = "Higgs"
price_cents = 500
blurb = "Holds tea."
description = ["Holds coffee too."]
"""

TEE = """
[[product]]
id = "8"
label = "Tee"
category = "Apparel"
brand = "Higgs"
price_cents = 800
blurb = "Has mass."
description = ["Has sleeves."]
colors = ["Black", "Navy"]
sizes = ["S", "M"]
"""

# id, label, category, brand, price, number of colours, number of sizes: the original's facts.
FACTS = [
    ("128113", "Gamer Sticker", "Stickers", "Higgs", 100, 0, 0),
    ("128115", "Mug Sticker", "Stickers", "Higgs", 100, 0, 0),
    ("128114", "Glasses Sticker", "Stickers", "Higgs", 100, 0, 0),
    ("128747", "Unisex Higgs Tee", "Apparel", "mParticle", 800, 1, 6),
    ("128742", "Pride Sticker", "Stickers", "mParticle", 200, 0, 0),
    ("128741", "Pride Decal", "Stickers", "mParticle", 300, 0, 0),
    ("128740", "mP Icon Full Zip", "Apparel", "mParticle", 11_000, 1, 5),
    ("128744", "Unisex Fleece Pullover", "Apparel", "mParticle", 5_000, 1, 8),
    ("128745", "Unisex Full Logo Tee", "Apparel", "mParticle", 900, 9, 8),
    ("128272", "Women's Full Logo Tee", "Apparel", "mParticle", 900, 10, 5),
    ("128746", "Unisex Pride Tee", "Apparel", "mParticle", 1_400, 1, 8),
    ("128737", "Absobu Dog Bowl", "Swag", "Absobu", 2_800, 0, 0),
    ("128738", "Field & Co Sherpa Blanket", "Bedding", "Field & Co", 4_100, 0, 0),
    ("128743", "Tennis Ball", "Toys", "mParticle", 200, 0, 0),
]


def test_the_shipped_catalogue_has_the_originals_products_in_its_order() -> None:
    found = [
        (
            product.id,
            product.label,
            product.category,
            product.brand,
            product.price_cents,
            len(product.colors),
            len(product.sizes),
        )
        for product in shipped_catalog().products
    ]

    assert found == FACTS


def test_every_product_has_a_card_sentence_and_some_bullets_of_its_own() -> None:
    products = shipped_catalog().products
    texts = [text for product in products for text in (product.blurb, *product.description)]

    assert all(len(product.description) >= 3 for product in products)
    assert len(set(texts)) == len(texts)
    assert all(text.endswith((".", "!", "?")) for text in texts)


def test_a_product_is_found_by_its_id_and_an_unknown_id_finds_nothing() -> None:
    catalog = shipped_catalog()

    bowl = catalog.get("128737")

    assert bowl is not None
    assert bowl.label == "Absobu Dog Bowl"
    assert bowl.image_file == "products/128737.svg"
    assert catalog.get("../128737") is None


def test_categories_come_with_counts_in_the_order_in_which_they_appear() -> None:
    assert shipped_catalog().categories == (
        Category("Stickers", 5),
        Category("Apparel", 6),
        Category("Swag", 1),
        Category("Bedding", 1),
        Category("Toys", 1),
    )


def test_a_category_lists_its_products_and_an_unknown_one_lists_none() -> None:
    catalog = shipped_catalog()

    assert [product.id for product in catalog.of_category("Toys")] == ["128743"]
    assert catalog.of_category("Antimatter") == ()


def test_a_variant_is_chosen_from_what_the_product_comes_in() -> None:
    mug, tee = read_catalog(MUG + TEE).products

    assert tee.choose("Navy", "M") == Variant("Navy", "M")
    assert mug.choose("", "") == Variant("", "")


@pytest.mark.parametrize(
    ("product_id", "color", "size", "field", "message"),
    [
        pytest.param("8", "", "M", "color", "Choose a colour first.", id="no-colour"),
        pytest.param("8", "Navy", "", "size", "Choose a size first.", id="no-size"),
        pytest.param("8", "Gold", "M", "color", "Tee does not come in that colour", id="colour"),
        pytest.param("8", "Navy", "9XL", "size", "Tee does not come in that size", id="size"),
        pytest.param("8", "navy", "M", "color", "Tee does not come in that colour", id="case"),
        pytest.param("7", "Navy", "", "color", "Mug comes in one colour only", id="needless"),
    ],
)
def test_a_choice_that_does_not_exist_is_refused_at_its_field(
    product_id: str, color: str, size: str, field: str, message: str
) -> None:
    product = read_catalog(MUG + TEE).get(product_id)
    assert product is not None

    with pytest.raises(UnknownChoice) as refused:
        product.choose(color, size)

    assert refused.value.field == field
    assert refused.value.message.startswith(message)


@pytest.mark.parametrize(
    ("toml", "complaint"),
    [
        pytest.param("[[product", "not TOML", id="not-toml"),
        pytest.param("", r"no \[\[product\]\]", id="nothing"),
        pytest.param("product = [1]", "product number 1: ", id="not-a-table"),
        pytest.param(MUG.replace("price_cents = 500\n", ""), "7: price_cents", id="no-price"),
        pytest.param(MUG.replace("500", "5.0"), "7: price_cents", id="price-in-dollars"),
        pytest.param(MUG.replace("500", "-1"), "7: price_cents", id="negative-price"),
        pytest.param(MUG.replace('"Mug"', '" "'), "7: label", id="blank-label"),
        pytest.param(MUG.replace('["Holds coffee too."]', "[]"), "7: description", id="no-bullet"),
        pytest.param(MUG.replace('id = "7"\n', ""), "number 1: id", id="no-id"),
        pytest.param(MUG.replace('"7"', '"../7"'), r"\.\./7: id", id="id-is-a-path"),
        pytest.param(MUG + 'sizs = ["S"]', "7: sizs", id="misspelt-field"),
        pytest.param(MUG + 'sizes = ["S", "S"]', "7: sizes: 'S' is there twice", id="size-twice"),
        pytest.param(MUG + MUG, "7: id: another product has it", id="id-twice"),
    ],
)
def test_a_wrong_product_file_is_refused_with_product_and_field(toml: str, complaint: str) -> None:
    with pytest.raises(CatalogError, match=complaint):
        read_catalog(toml)
