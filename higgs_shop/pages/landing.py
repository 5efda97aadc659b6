"""The shop's front page: all products, and a welcome, once."""

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from higgs_shop.asking import current_visitor
from higgs_shop.asking.current_visitor import stepping, submitting, visited
from higgs_shop.asking.parts import parts
from higgs_shop.pages.forms import BareForm
from higgs_shop.pages.tracked import tracked
from higgs_shop.visitors import mark_welcomed

bp = visited(Blueprint("landing", __name__))

_WELCOME_ANSWERS = {
    "button": "Landing Button Click",
    "background": "Landing Modal Background Click",
}


@bp.get("/")
def show() -> str:
    """Products, all of them or one category's. Unknown categories get the 404 page."""
    catalog = parts().catalog
    category = request.args.get("category")
    products = catalog.products if category is None else catalog.of_category(category)
    if not products:
        abort(404)
    with stepping() as step:
        step.screen_view("Landing", **({"category": category} if category else {}))
        step.impression(
            "Product List Impression",
            [tracked(product, position=place) for place, product in enumerate(products, start=1)],
        )
        show_welcome = not step.visit.was_welcomed and category is None
        if show_welcome and current_visitor.caller().counts:
            mark_welcomed(step.connection, step.visit, step.now_ms)
    return render_template(
        "pages/landing.html",
        products=products,
        categories=catalog.categories,
        category=category,
        show_welcome=show_welcome,
    )


@bp.post("/welcome")
def answer_welcome() -> Response:
    """The welcome was closed, by its button or by a click beside it."""
    event_name = _WELCOME_ANSWERS.get(request.form.get("answer", ""))
    if event_name is None or not BareForm().validate_on_submit():
        abort(400, "Close the welcome with its button or by a click beside it.")
    with submitting(url_for("landing.show")) as step:
        if step.is_new:
            step.custom_event(event_name, "other")
    return redirect(step.location, 303)
