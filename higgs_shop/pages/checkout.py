"""Checkout in three steps: where to, how to pay (a demonstration), and a last look."""

from typing import Final

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_wtf import FlaskForm
from sqlalchemy import Connection
from werkzeug.wrappers import Response

from higgs_shop.asking import current_visitor
from higgs_shop.asking.current_visitor import stepping, submitting, visited
from higgs_shop.asking.parts import parts
from higgs_shop.pages.forms import (
    DEMO_CARD,
    DEMO_CVC,
    DEMO_EXPIRY,
    DEMO_SHIPPING,
    BareForm,
    PaymentForm,
    ShippingForm,
)
from higgs_shop.pages.tracked import amounts, tracked_lines
from higgs_shop.shop import Checkout, CheckoutClosed, EmptyCart, carts, checkouts, orders
from higgs_shop.visitors import Step

bp = visited(Blueprint("checkout", __name__))

_STEPS: Final = ("shipping", "payment", "review")
_CHANGED: Final = "Your cart has changed since you began. Check it, then begin again."


@bp.post("/checkout")
def begin() -> Response:
    """Begin to check the cart out. Coming back to the same cart goes on, and begins nothing."""
    if not BareForm().validate_on_submit():
        abort(400)
    with submitting(url_for("checkout.show")) as step:
        if step.is_new:
            cart = current_visitor.cart(step.connection)
            try:
                checkout, is_begun = checkouts.begin(
                    step.connection,
                    parts().workspace_id,
                    visit_id=step.visit.id,
                    cart=cart,
                    now_ms=step.now_ms,
                )
            except EmptyCart:
                step.location = url_for("cart.show")
            else:
                if is_begun:
                    step.product_action(
                        "checkout", tracked_lines(checkout.lines), amounts=amounts(checkout.totals)
                    )
    return redirect(step.location, 303)


@bp.get("/checkout")
def show() -> str | Response:
    """The step that comes next, or an earlier one by `?step=`."""
    with stepping() as step:
        checkout = _current(step)
        if checkout is None:
            return _nothing_to_check_out(step.connection)
        wanted = _wanted_step(checkout)
        step.screen_view("Checkout", step=wanted)
    return _render(checkout, wanted, _empty_form(checkout, wanted))


@bp.get("/checkout/<any(shipping, payment, order):_form>")
def show_instead(_form: str) -> Response:
    """The address of a form, typed in or reloaded after a mistake."""
    return redirect(url_for("checkout.show"), 302)


@bp.post("/checkout/shipping")
def save_shipping() -> Response | tuple[str, int]:
    """Keep where the order goes."""
    form = ShippingForm()
    checkout = _readable()
    if checkout is None:
        with parts().database.read() as connection:
            return _nothing_to_check_out(connection)
    if not form.validate_on_submit():
        return _render(checkout, "shipping", form), 422
    with submitting(url_for("checkout.show", step="payment")) as step:
        if step.is_new:
            current = _current(step)
            if current is None:
                return _back_to_cart(_CHANGED)
            ship_to = {name: getattr(form, name).data for name in DEMO_SHIPPING}
            checkouts.save_shipping(step.connection, parts().workspace_id, current, ship_to)
            _track_option(step, current, 1, "Standard shipping")
    return redirect(step.location, 303)


@bp.post("/checkout/payment")
def save_payment() -> Response | tuple[str, int]:
    """Look at the demonstration card and forget it."""
    form = PaymentForm()
    checkout = _readable()
    if checkout is None:
        with parts().database.read() as connection:
            return _nothing_to_check_out(connection)
    if checkout.ship_to is None:
        return redirect(url_for("checkout.show", step="shipping"), 303)
    if not form.validate_on_submit():
        return _render(checkout, "payment", form), 422
    with submitting(url_for("checkout.show", step="review")) as step:
        if step.is_new:
            current = _current(step)
            if current is None:
                return _back_to_cart(_CHANGED)
            checkouts.save_payment(step.connection, parts().workspace_id, current)
            _track_option(step, current, 2, "Demo card")
    return redirect(step.location, 303)


@bp.post("/checkout/order")
def place_order() -> Response:
    """Place the order: once, however often the form comes."""
    if not BareForm().validate_on_submit():
        abort(400)
    checkout_id = request.form.get("checkout_id", "", type=str)
    if not checkout_id.isascii() or not checkout_id.isdecimal() or len(checkout_id) > 15:
        return _back_to_cart("Begin the checkout from your cart.")
    with submitting(url_for("cart.show")) as step:
        if step.is_new:
            refusal = _place(step, int(checkout_id))
            if refusal is not None:
                step.location = refusal
    return redirect(step.location, 303)


@bp.errorhandler(CheckoutClosed)
def begin_again(_error: CheckoutClosed) -> Response:
    """Another tab placed the order while this one's form was on its way."""
    return _back_to_cart(_CHANGED)


def _place(step: Step, checkout_id: int) -> str | None:
    """Place the order and log the purchase. Returns where to go instead when it cannot be placed."""
    ws = parts().workspace_id
    checkout = checkouts.hold(step.connection, ws, visit_id=step.visit.id, checkout_id=checkout_id)
    if checkout is None or checkout.state == "replaced":
        flash(_CHANGED, "error")
        return url_for("cart.show")
    cart = current_visitor.cart(step.connection)
    if checkout.state == "open" and not checkout.matches(cart):
        flash(_CHANGED, "error")
        return url_for("cart.show")
    if checkout.ship_to is None or not checkout.has_paid:
        return url_for("checkout.show")
    order, is_placed = orders.place(
        step.connection,
        ws,
        checkout,
        customer_id=current_visitor.customer_id(),
        visit_id=step.visit.id,
        now_ms=step.now_ms,
    )
    if is_placed:
        carts.empty(step.connection, ws, cart)
        step.product_action(
            "purchase",
            tracked_lines(order.lines),
            amounts=amounts(order),
            transaction_id=order.number,
            once=order.number,
        )
    step.location = url_for("order.show", number=order.number)
    return None


def _track_option(step: Step, checkout: Checkout, number: int, option: str) -> None:
    step.product_action(
        "checkout_option",
        tracked_lines(checkout.lines),
        checkout_step=number,
        checkout_options=option,
    )


def _current(step: Step) -> Checkout | None:
    """The open checkout, if the cart is still what it was when it began."""
    checkout = checkouts.current(step.connection, parts().workspace_id, step.visit.id)
    if checkout is None or not checkout.matches(current_visitor.cart(step.connection)):
        return None
    return checkout


def _readable() -> Checkout | None:
    visit = current_visitor.visit()
    with parts().database.read() as connection:
        return checkouts.current(connection, parts().workspace_id, visit.id)


def _wanted_step(checkout: Checkout) -> str:
    reached = 0 if checkout.ship_to is None else 2 if checkout.has_paid else 1
    wanted = request.args.get("step", _STEPS[reached])
    if wanted not in _STEPS or _STEPS.index(wanted) > reached:
        return _STEPS[reached]
    return wanted


def _empty_form(checkout: Checkout, wanted: str) -> FlaskForm:
    if wanted == "shipping":
        return ShippingForm(formdata=None, data=checkout.ship_to or _prefilled_shipping())
    if wanted == "payment":
        card = {"card_number": DEMO_CARD, "expiry": DEMO_EXPIRY, "cvc": DEMO_CVC}
        return PaymentForm(formdata=None, data=card)
    return BareForm(formdata=None)


def _prefilled_shipping() -> dict[str, str]:
    customer = current_visitor.customer()
    if customer is None:
        return dict(DEMO_SHIPPING)
    return {**DEMO_SHIPPING, "name": customer.name, "email": customer.email}


def _render(checkout: Checkout, step: str, form: FlaskForm) -> str:
    return render_template(
        "pages/checkout.html",
        step=step,
        steps_done=[
            *(["shipping"] if checkout.ship_to else []),
            *(["payment"] if checkout.has_paid else []),
        ],
        form=form,
        checkout=checkout,
        order={"lines": checkout.lines, **vars(checkout.totals)},
        ship_to=checkout.ship_to,
    )


def _nothing_to_check_out(connection: Connection) -> Response:
    """Somebody who went back after buying is shown what they bought."""
    visit = current_visitor.visit()
    order = orders.just_placed(connection, parts().workspace_id, visit.id)
    if order is None or current_visitor.cart(connection).lines:
        return _back_to_cart("Begin the checkout from your cart.")
    flash("This order is placed already. Going back does not change it.", "info")
    return redirect(url_for("order.show", number=order.number), 303)


def _back_to_cart(message: str) -> Response:
    flash(message, "info")
    return redirect(url_for("cart.show"), 303)
