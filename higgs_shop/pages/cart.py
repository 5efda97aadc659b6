"""The cart: what is in it, and changes to it."""

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from higgs_shop.asking import current_visitor
from higgs_shop.asking.current_visitor import stepping, submitting, visited
from higgs_shop.asking.parts import parts
from higgs_shop.pages.forms import BareForm, QuantityForm, add_to_cart_form
from higgs_shop.pages.product import render_product
from higgs_shop.pages.tracked import tracked
from higgs_shop.shop import CartLine, QuantityChange, carts
from higgs_shop.tracker import TrackedProduct
from higgs_shop.tracker.events import units
from higgs_shop.visitors import Step

bp = visited(Blueprint("cart", __name__))

_LINE = "/cart/lines/<int(max=9007199254740991):line_id>"


@bp.get("/cart")
def show() -> str:
    """The visitor's cart."""
    with stepping() as step:
        cart = current_visitor.cart(step.connection)
        step.screen_view(
            "View My Cart",
            number_of_products=cart.count,
            total_product_amounts=units(cart.subtotal_cents),
        )
    return render_template("pages/cart.html", cart=cart)


@bp.post("/cart/lines")
def add() -> Response | tuple[str, int]:
    """Put a product into the cart. Mistakes come back on the product's page, at their fields."""
    product = parts().catalog.get(request.form.get("product_id", ""))
    if product is None:
        abort(404)
    form = add_to_cart_form(product)
    if not form.validate_on_submit():
        return render_product(product, form), 422
    chosen = form.data  # has a color and a size only where there is a choice
    variant = product.choose(chosen.get("color", ""), chosen.get("size", ""))
    with submitting(url_for("product.show", product_id=product.id)) as step:
        if step.is_new:
            result = carts.add(
                step.connection,
                parts().workspace_id,
                visit_id=step.visit.id,
                customer_id=current_visitor.customer_id(),
                product=product,
                variant=variant,
                quantity=form.quantity.data or 0,
                now_ms=step.now_ms,
            )
            if result.added:
                bought = tracked(
                    product, quantity=result.added, color=variant.color, size=variant.size
                )
                step.product_action("add_to_cart", [bought])
            if result.capped:
                flash(
                    f"A line holds 99 at most; {result.added} more went in."
                    if result.added
                    else "A line holds 99 at most, and this one is full.",
                    "info",
                )
            else:
                flash(f"{product.label} is in your cart.", "added")
    return redirect(step.location, 303)


@bp.get("/cart/lines")
def show_instead() -> Response:
    """The address of a form, typed in or reloaded after a mistake."""
    return redirect(url_for("cart.show"), 302)


@bp.post(_LINE)
def change(line_id: int) -> Response:
    """Give a line another quantity: the difference is an addition or a removal."""
    form = QuantityForm()
    if not form.validate_on_submit():
        flash("; ".join(form.quantity.errors) or "Enter a whole number from 1 to 99.", "error")
        return redirect(url_for("cart.show"), 303)
    with submitting(url_for("cart.show")) as step:
        if step.is_new:
            cart = current_visitor.cart(step.connection)
            changed = carts.change_quantity(
                step.connection, parts().workspace_id, cart, line_id, form.quantity.data or 0
            )
            if changed is None:
                abort(404)
            _track_change(step, changed)
    return redirect(step.location, 303)


@bp.post(f"{_LINE}/remove")
def remove(line_id: int) -> Response:
    """Take a line out."""
    if not BareForm().validate_on_submit():
        abort(400)
    with submitting(url_for("cart.show")) as step:
        if step.is_new:
            cart = current_visitor.cart(step.connection)
            removed = carts.remove(step.connection, parts().workspace_id, cart, line_id)
            if removed is None:
                abort(404)
            step.product_action("remove_from_cart", [_tracked_line(removed, removed.quantity)])
    return redirect(step.location, 303)


def _track_change(step: Step, change: QuantityChange) -> None:
    more = change.line.quantity - change.previous_quantity
    if more > 0:
        step.product_action("add_to_cart", [_tracked_line(change.line, more)])
    elif more < 0:
        step.product_action("remove_from_cart", [_tracked_line(change.line, -more)])


def _tracked_line(line: CartLine, quantity: int) -> TrackedProduct:
    return tracked(line.product, quantity=quantity, color=line.color, size=line.size)
