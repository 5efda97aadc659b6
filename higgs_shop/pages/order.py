"""The thank-you page of an order, for whoever placed it."""

from flask import Blueprint, abort, render_template

from higgs_shop.asking import current_visitor
from higgs_shop.asking.current_visitor import stepping, visited
from higgs_shop.asking.parts import parts
from higgs_shop.shop import orders

bp = visited(Blueprint("order", __name__))


@bp.get("/orders/<number>")
def show(number: str) -> str:
    """One order. Somebody else's gets the same 404 page as one that does not exist."""
    with stepping() as step:
        order = orders.find(
            step.connection,
            parts().workspace_id,
            number,
            customer_id=current_visitor.customer_id(),
            visit_id=step.visit.id,
        )
        if order is None:
            abort(404)
        step.screen_view("Order Confirmation")
    return render_template("pages/order.html", order=order)
