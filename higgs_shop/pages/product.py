"""One product, with the choices a visitor makes before buying."""

from flask import Blueprint, abort, render_template

from higgs_shop.asking.current_visitor import stepping, visited
from higgs_shop.asking.parts import parts
from higgs_shop.pages.forms import AddToCartForm, add_to_cart_form
from higgs_shop.pages.tracked import tracked
from higgs_shop.shop import Product

bp = visited(Blueprint("product", __name__))


@bp.get("/products/<product_id>")
def show(product_id: str) -> str:
    """The product's page. Unknown ids get the 404 page."""
    product = parts().catalog.get(product_id)
    if product is None:
        abort(404)
    with stepping() as step:
        step.product_action("view_detail", [tracked(product)])
    return render_product(product, add_to_cart_form(product))


def render_product(product: Product, form: AddToCartForm) -> str:
    """The page itself, as it is shown and as it comes back with a mistake in the form."""
    return render_template("pages/product.html", product=product, form=form)
