"""The account: sign in, sign up, edit the profile, sign out.

Each of these is a change in the shop and an identity call that follows from it. The change and the
call that is owed are written together; `settle` then makes the call.
"""

from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response

from higgs_shop.asking import current_visitor
from higgs_shop.asking.current_visitor import settle, stepping, submitting, visited
from higgs_shop.asking.parts import parts
from higgs_shop.asking.safe_next import safe_next
from higgs_shop.pages.forms import BareForm, ProfileForm, SignInForm, SignUpForm
from higgs_shop.shop import Customer, EmailTaken, customers, orders

bp = visited(Blueprint("account", __name__))

_TAKEN = "There is an account with this e-mail address already."


@bp.get("/account")
def show() -> str:
    """Sign in when signed out; profile and orders when signed in."""
    with stepping() as step:
        step.screen_view("My Account")
        customer = current_visitor.customer()
        placed = (
            orders.of_customer(step.connection, parts().workspace_id, customer.customer_id)
            if customer
            else []
        )
    form = SignInForm(formdata=None, data={"next": request.args.get("next")})
    return _render_account(form, customer=customer, orders=placed)


@bp.post("/account/sign-in")
def sign_in() -> Response | tuple[str, int]:
    """Sign in with a user id or e-mail address and the demo password."""
    form = SignInForm()
    customer = None
    if form.validate_on_submit():
        with parts().database.read() as connection:
            customer = customers.find_by_login(
                connection, parts().workspace_id, form.user_id.data or ""
            )
        if customer is None:
            form.user_id.errors = ["Nobody has this user id or e-mail address."]
    if customer is None:
        return _render_account(form, customer=None, orders=[]), 422
    with submitting(safe_next(form.next.data, url_for("account.show"))) as step:
        if step.is_new:
            current_visitor.sign_in(step, customer)
    settle()
    return redirect(step.location, 303)


@bp.get("/account/sign-in")
def show_instead() -> Response:
    """The address of a form, typed in or reloaded after a mistake."""
    return redirect(url_for("account.show"), 302)


@bp.get("/account/sign-up")
def sign_up() -> str | Response:
    """The form for a new account."""
    if current_visitor.customer() is not None:
        return redirect(url_for("account.show"), 302)
    with stepping() as step:
        step.screen_view("Sign Up")
    return render_template("pages/sign_up.html", form=SignUpForm())


@bp.post("/account/sign-up")
def create() -> Response | tuple[str, int]:
    """Create an account and sign in to it."""
    form = SignUpForm()
    if not form.validate_on_submit():
        return render_template("pages/sign_up.html", form=form), 422
    try:
        with submitting(url_for("account.welcome")) as step:
            if step.is_new:
                customer = customers.create(
                    step.connection,
                    parts().workspace_id,
                    name=form.name.data,
                    email=form.email.data,
                    phone=form.phone.data or "",
                    wants_marketing=form.wants_marketing.data,
                    now_ms=step.now_ms,
                )
                current_visitor.sign_in(step, customer)
                step.user_attributes(
                    {"name": customer.name, "wants_marketing": customer.wants_marketing}
                )
    except EmailTaken:
        _complain(form, "email", _TAKEN)
        return render_template("pages/sign_up.html", form=form), 422
    settle()
    return redirect(step.location, 303)


@bp.get("/account/welcome")
def welcome() -> str | Response:
    """Where sign-up lands. The sign-up is logged here, once: on a page that stays."""
    customer = current_visitor.customer()
    if customer is None:
        return redirect(url_for("account.show"), 302)
    with stepping() as step:
        step.screen_view("Welcome")
        if not customer.is_ready_account:
            step.custom_event(
                "Signed Up", "user_preference", once=f"signed-up:{customer.customer_id}"
            )
    return render_template("pages/welcome.html", customer=customer)


@bp.get("/account/profile")
def profile() -> str | Response:
    """The form in which customers change what is known of them."""
    customer = current_visitor.customer()
    if customer is None:
        return _sign_in_first("account.profile")
    with stepping() as step:
        step.screen_view("Edit Profile")
    known = {"name": customer.name, "email": customer.email, "phone": customer.phone}
    return render_template("pages/profile.html", form=ProfileForm(data=known), customer=customer)


@bp.post("/account/profile")
def save_profile() -> Response | tuple[str, int]:
    """Change name, e-mail address or phone number."""
    customer = current_visitor.customer()
    if customer is None:
        return _sign_in_first("account.profile")
    form = ProfileForm()
    if not form.validate_on_submit():
        return render_template("pages/profile.html", form=form, customer=customer), 422
    try:
        with submitting(url_for("account.show")) as step:
            if step.is_new:
                changed = customers.update(
                    step.connection,
                    parts().workspace_id,
                    customer.customer_id,
                    name=form.name.data,
                    email=form.email.data,
                    phone=form.phone.data or "",
                )
                if changed.name != customer.name:
                    step.user_attributes({"name": changed.name})
                if (changed.email, changed.phone) != (customer.email, customer.phone):
                    parts().visitors.change_identities(step)
    except EmailTaken:
        _complain(form, "email", _TAKEN)
        return render_template("pages/profile.html", form=form, customer=customer), 422
    settle()
    return redirect(step.location, 303)


@bp.post("/account/sign-out")
def sign_out() -> Response:
    """Sign out: nothing of this customer stays with the visit."""
    if not BareForm().validate_on_submit():
        abort(400)
    with submitting(url_for("account.show")) as step:
        if step.is_new and current_visitor.customer() is not None:
            current_visitor.sign_out(step)
    settle()
    return redirect(step.location, 303)


def _render_account(form: FlaskForm, *, customer: Customer | None, orders: list[Any]) -> str:
    return render_template(
        "pages/account.html",
        form=form,
        customer=customer,
        orders=orders,
        ready_accounts=customers.READY_ACCOUNTS,
        demo_password=customers.DEMO_PASSWORD,
    )


def _complain(form: FlaskForm, field: str, message: str) -> None:
    getattr(form, field).errors = [message]


def _sign_in_first(endpoint: str) -> Response:
    return redirect(url_for("account.show", next=url_for(endpoint)), 302)
