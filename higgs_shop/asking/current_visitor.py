"""The visitor of the request at hand, for the pages to act for.

A page that somebody looks at does `with stepping() as step:` and logs what is seen; a form does
`with submitting(...) as step:`, changes something and logs that, in one transaction.
"""

import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import flask_login
from flask import Blueprint, g, request, session
from flask_wtf import csrf
from sqlalchemy import Connection

from higgs_shop.asking.parts import parts
from higgs_shop.asking.visit_session import VisitSession
from higgs_shop.shop import Cart, Customer, carts, checkouts, customers, orders
from higgs_shop.visitors import Caller, Step, Submission, Visit


class SignedIn(flask_login.UserMixin):  # type: ignore[misc]  # the library is untyped
    """Flask-Login's user: a customer."""

    def __init__(self, customer: Customer) -> None:
        self.customer = customer

    def get_id(self) -> str:
        """The customer's id."""
        return self.customer.customer_id


def visited(blueprint: Blueprint) -> Blueprint:
    """Every request to these pages is a visitor's: it begins or continues a visit and a session."""
    blueprint.before_request(_arrive)
    return blueprint


def caller() -> Caller:
    """This request, as the visitors' part sees it."""
    if "caller" not in g:
        purpose = request.headers.get("Sec-Purpose", "") + request.headers.get("Purpose", "")
        g.caller = Caller(
            # The method shows, to whoever looks at events, which were somebody's doing.
            request_id=f"{request.method.lower()}-{uuid.uuid4()}",
            user_agent=request.headers.get("User-Agent", "").replace("\x00", ""),
            counts=request.method in {"GET", "POST"} and "prefetch" not in purpose,
        )
    return cast("Caller", g.caller)


def endpoint() -> str:
    """Which page this is."""
    return request.endpoint or ""


def device_stamp() -> str | None:
    """The stamp of the device that this request comes from."""
    return session.device_stamp if isinstance(session, VisitSession) else None


def known_visit() -> Visit | None:
    """The visit of this request, or None: a stranger on a page that begins no visits."""
    return session.visit if isinstance(session, VisitSession) else None


def visit() -> Visit:
    """The visit of this request, on a page that has begun one."""
    found = known_visit()
    if found is None:
        raise LookupError("this page does not begin visits")
    return found


def customer() -> Customer | None:
    """The customer who is signed in, if any."""
    user = flask_login.current_user
    return user.customer if isinstance(user, SignedIn) else None


def customer_id() -> str | None:
    """The id of the customer who is signed in, if any."""
    signed_in = customer()
    return signed_in.customer_id if signed_in else None


def cart(connection: Any) -> Cart:
    """The visitor's cart."""
    found = known_visit()
    if found is None:
        return Cart(None, ())
    return carts.find(
        connection,
        parts().workspace_id,
        parts().catalog,
        visit_id=found.id,
        customer_id=customer_id(),
    )


@contextmanager
def stepping() -> Iterator[Step]:
    """One write transaction in which the visitor looks at a page."""
    with parts().visitors.step(visit(), caller()) as step:
        yield step


@contextmanager
def submitting(location: str) -> Iterator[Step]:
    """One write transaction in which the visitor's form does its work, once.

    Raises: SubmissionError, which becomes a page that says what to do.
    """
    fields = list(request.form.items(multi=True))
    with parts().visitors.submission(visit(), caller(), fields=fields, location=location) as step:
        yield step


@contextmanager
def submitting_untracked(location: str) -> Iterator[tuple[Connection, Submission]]:
    """One write transaction in which a form that is not about shopping does its work, once.

    Raises: SubmissionError, which becomes a page that says what to do.
    """
    fields = list(request.form.items(multi=True))
    with parts().visitors.untracked_submission(
        visit(), fields=fields, location=location
    ) as submission:
        yield submission


def sign_in(step: Step, signed_in: Customer) -> None:
    """Make this customer the visitor: the cart comes along, nothing else of the old session does."""
    if step.visit.customer_id not in {None, signed_in.customer_id}:
        _leave_nothing_behind(step)
    carts.hand_over(
        step.connection,
        parts().workspace_id,
        visit_id=step.visit.id,
        customer_id=signed_in.customer_id,
    )
    parts().visitors.sign_in(step, signed_in.customer_id)
    _start_over()
    flask_login.login_user(SignedIn(signed_in))
    _keep_session(step)


def sign_out(step: Step) -> None:
    """Make the visitor nobody in particular again."""
    _leave_nothing_behind(step)
    parts().visitors.sign_out(step)
    flask_login.logout_user()
    _start_over()
    _keep_session(step)


def settle() -> None:
    """Make the identity calls that are owed now, within the page's budget."""
    parts().visitors.settle(visit(), caller())


def load_signed_in(user_id: str) -> SignedIn | None:
    """Flask-Login's loader. The visit's row decides; what the session says must agree with it."""
    found = known_visit()
    if found is None or found.customer_id != user_id:
        return None
    with parts().database.read() as connection:
        known = customers.find(connection, parts().workspace_id, user_id)
    return SignedIn(known) if known else None


def form_token() -> str:
    """A one-time token for a form."""
    return secrets.token_urlsafe(16)


def _arrive() -> None:
    held = session
    if not isinstance(held, VisitSession) or request.method == "OPTIONS":
        return
    if caller().counts:
        held.visit = parts().visitors.arrive(
            held.visit,
            device_stamp=held.device_stamp,
            cookie_session=dict(held),
            caller=caller(),
        )
    elif held.visit is None:
        held.visit = parts().visitors.begin_visit(held.device_stamp, dict(held))


def _leave_nothing_behind(step: Step) -> None:
    """Whoever comes next sees neither the address nor the orders of whoever leaves."""
    checkouts.abandon(step.connection, parts().workspace_id, step.visit.id)
    orders.forget_visit(step.connection, parts().workspace_id, step.visit.id)


def _keep_session(step: Step) -> None:
    # Not only at the end of the request: who is killed before that has signed somebody in all the same.
    parts().visitors.keep_session_of(step, dict(session))


def _start_over() -> None:
    if isinstance(session, VisitSession):
        session.start_over()
    # Flask-WTF remembers the token it signed for this request.
    g.pop("csrf_token", None)
    csrf.generate_csrf()
