"""Asks for the operator token, once."""

from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from higgs_shop.asking.observers import has_operator_token, is_operator_token, remember_observer
from higgs_shop.asking.safe_next import safe_next
from higgs_shop.pages.forms import OperatorForm

bp = Blueprint("operator", __name__)


@bp.before_request
def only_with_a_token() -> None:
    """Without a token there is nothing to ask for."""
    if not has_operator_token():
        abort(404)


@bp.get("/operator")
def show() -> str:
    """The form. It needs a session of its own for its CSRF token."""
    session.modified = True
    form = OperatorForm(formdata=None, data={"next": request.args.get("next")})
    return render_template("pages/operator.html", form=form)


@bp.post("/operator")
def enter() -> Response | tuple[str, int]:
    """Let in whoever knows the token."""
    form = OperatorForm()
    if form.validate_on_submit() and not is_operator_token(form.token.data or ""):
        form.token.errors = ["That is not the operator token."]
    if form.errors:
        return render_template("pages/operator.html", form=form), 422
    response = redirect(safe_next(form.next.data, url_for("inbox.show")), 303)
    remember_observer(response)
    return response
