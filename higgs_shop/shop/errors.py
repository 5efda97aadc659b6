"""What the shop refuses, split by what the caller can do next.

ShopError                     anything below
├─ CatalogError               products.toml is wrong: correct the named product and field
├─ UnknownChoice              no such colour or size: show .message at the field named by .field
├─ QuantityOutOfRange         fewer than 1 or more than 99: ask again
├─ EmptyCart                  nothing to check out: send the person to the shop
├─ CheckoutClosed             the checkout was replaced or placed: send the person to the cart
├─ StepMissing                shipping or payment was skipped: send the person to .step
├─ EmailTaken                 another customer has this address: ask for another
└─ UnknownCustomer            no such customer in this workspace: sign the person out
"""


class ShopError(Exception):
    """Anything that the shop refuses."""


class CatalogError(ShopError):
    """The product file cannot be used; the message names the product and the field."""


class UnknownChoice(ShopError):
    """A colour or size that the product does not come in.

    Attributes:
        field: `color` or `size`, as the form names it.
        message: a sentence for the person who chose.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


class QuantityOutOfRange(ShopError):
    """A line holds 1 to 99 pieces; this is something else."""


class EmptyCart(ShopError):
    """A checkout was begun with nothing in the cart."""


class CheckoutClosed(ShopError):
    """The checkout is not open any more: a newer one has taken its place, or it became an order."""


class StepMissing(ShopError):
    """An order was to be placed before everything needed was known.

    Attributes:
        step: `shipping` or `payment`, the first one that is missing.
    """

    def __init__(self, step: str) -> None:
        super().__init__(f"the {step} step has not been done")
        self.step = step


class EmailTaken(ShopError):
    """Another customer of the workspace already has this e-mail address, in whatever case."""


class UnknownCustomer(ShopError):
    """The workspace has no customer of this id."""
