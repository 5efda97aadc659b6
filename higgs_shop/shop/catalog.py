"""What the store offers, and in which colours and sizes. The facts stand in products.toml."""

import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import Annotated, Any, ClassVar, Final

from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from higgs_shop.shop.errors import CatalogError, UnknownChoice

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
ProductId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,40}$")]
PriceCents = Annotated[int, Field(strict=True, gt=0, le=1_000_000)]


@dataclass(frozen=True)
class Variant:
    """One choice of colour and size; a text is empty where the product leaves no choice."""

    color: str
    size: str


@dataclass(frozen=True)
class Product:
    """One product, as shown and as tracked.

    Attributes:
        blurb: the one sentence on its card.
        description: the sentences of its page, one a bullet.
        colors: to choose from; empty when it comes in one look only. Likewise `sizes`.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    id: ProductId
    label: Text
    category: Text
    brand: Text
    price_cents: PriceCents
    blurb: Text
    description: Annotated[tuple[Text, ...], Field(min_length=1)]
    colors: tuple[Text, ...] = ()
    sizes: tuple[Text, ...] = ()

    @property
    def image_file(self) -> str:
        """The drawing's file under static/images."""
        return f"products/{self.id}.svg"

    def choose(self, color: str, size: str) -> Variant:
        """The variant that a form asks for; an empty text stands for no choice.

        Raises: UnknownChoice, for the first field that does not fit.
        """
        _check("color", color, self.colors, self.label)
        _check("size", size, self.sizes, self.label)
        return Variant(color, size)


@dataclass(frozen=True)
class Category:
    """A category's name and how many products it has."""

    name: str
    count: int


@dataclass(frozen=True)
class Catalog:
    """All products, in the order in which the store shows them."""

    products: tuple[Product, ...]

    @cached_property
    def _by_id(self) -> dict[str, Product]:
        return {product.id: product for product in self.products}

    @cached_property
    def categories(self) -> tuple[Category, ...]:
        """The categories in the order in which they first appear."""
        counts = Counter(product.category for product in self.products)
        return tuple(Category(name, count) for name, count in counts.items())

    def get(self, product_id: str) -> Product | None:
        """The product of this id, or None."""
        return self._by_id.get(product_id)

    def of_category(self, name: str) -> tuple[Product, ...]:
        """The products of one category; none when there is no such category."""
        return tuple(product for product in self.products if product.category == name)


def shipped_catalog() -> Catalog:
    """The catalogue that comes with the store."""
    return read_catalog(resources.files(__package__).joinpath("products.toml").read_text("utf-8"))


def read_catalog(toml: str) -> Catalog:
    """Read a catalogue and check every field of it.

    Raises: CatalogError, naming the product and the field.
    """
    try:
        document = tomllib.loads(toml)
    except tomllib.TOMLDecodeError as error:
        raise CatalogError(f"the catalogue is not TOML: {error}") from error
    entries = document.get("product")
    if not isinstance(entries, list):
        raise CatalogError("the catalogue has no [[product]]")
    products = tuple(_product(entry, number) for number, entry in enumerate(entries, start=1))
    _refuse_repeated_ids(products)
    return Catalog(products)


_PRODUCT: Final = TypeAdapter(Product)


def _product(entry: Any, number: int) -> Product:
    name = entry.get("id", f"number {number}") if isinstance(entry, dict) else f"number {number}"
    try:
        product = _PRODUCT.validate_python(entry)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise CatalogError(f"product {name}: {field}: {first['msg']}") from error
    for field, choices in (("colors", product.colors), ("sizes", product.sizes)):
        for repeated in _repeated(choices):
            raise CatalogError(f"product {name}: {field}: {repeated!r} is there twice")
    return product


def _refuse_repeated_ids(products: tuple[Product, ...]) -> None:
    for repeated in _repeated(product.id for product in products):
        raise CatalogError(f"product {repeated}: id: another product has it already")


def _repeated(values: Iterable[str]) -> list[str]:
    return [value for value, count in Counter(values).items() if count > 1]


def _check(field: str, chosen: str, choices: tuple[str, ...], label: str) -> None:
    noun = "colour" if field == "color" else "size"
    if choices and not chosen:
        raise UnknownChoice(field, f"Choose a {noun} first.")
    if choices and chosen not in choices:
        raise UnknownChoice(field, f"{label} does not come in that {noun}. Choose one of the list.")
    if chosen and not choices:
        raise UnknownChoice(field, f"{label} comes in one {noun} only; there is nothing to choose.")
