"""What every page knows of its visitor: for the header, the notices and the x-ray bar."""

from functools import partial
from typing import Any

from flask import Flask, g, has_request_context

from higgs_shop.asking import current_visitor
from higgs_shop.asking.current_visitor import form_token
from higgs_shop.asking.observers import may_observe
from higgs_shop.asking.parts import parts
from higgs_shop.pages.forms import is_first_wrong
from higgs_shop.pages.navigation import nav_url
from higgs_shop.pages.x_ray import x_ray_of
from higgs_shop.shop import format_cents
from higgs_shop.showing import ago, iso, pretty_json, short_mpid, utc
from higgs_shop.tracker import TEST_MPID
from higgs_shop.visitors import Intent, Standing

_TITLES = {
    "landing.show": "Shop",
    "cart.show": "Cart",
    "checkout.show": "Checkout",
    "order.show": "Thank you",
    "account.show": "Account",
    "account.sign_up": "Create an account",
    "account.create": "Create an account",
    "account.welcome": "Welcome",
    "account.profile": "Edit profile",
    "account.save_profile": "Edit profile",
    "about.show": "About",
    "privacy.show": "Privacy",
    "inbox.show": "Inbox",
    "inbox.show_request": "Inbox",
    "inbox.show_sessions": "Inboxes",
    "inbox_changes.add": "Inboxes",
    "inbox_changes.turn": "Inbox",
    "inbox_changes.change_secret": "Inbox",
    "x_ray.show": "X-ray",
    "profiles.show": "Profiles",
    "profiles.show_profile": "Profile",
    "connections.show": "Connections",
    "connections.show_one": "Connection",
    "connection_changes.add": "Connections",
    "connection_changes.change": "Connection",
    "connection_changes.add_secret": "Connection",
    "connection_changes.ask_to_remove": "Remove a connection",
    "deliveries.show": "Deliveries",
    "deliveries.show_one": "Delivery",
    "replays.ask": "Deliver again",
    "replays.show": "Delivering again",
    "workspaces.show": "Workspaces",
    "workspaces.add": "Workspaces",
    "workspaces.show_one": "Workspace",
    "workspaces.change": "Workspace",
    "workspaces.ask_to_remove": "Remove a workspace",
    "operator.show": "Operators only",
}

_REASONS = {
    "no_connection": "The identity service cannot be reached.",
    "circuit_open": "The identity service failed too often just now. It is asked again in a moment.",
    "timed_out": "The identity service did not answer in time.",
    "tls_failed": "The identity service could not prove who it is.",
    "connection_lost": "The connection to the identity service broke.",
    "unauthorized": "The identity service does not accept our key.",
    "too_many_requests": "The identity service asked us to wait.",
    "service_failed": "The identity service has a failure.",
    "not_understood": "The identity service answered something we do not understand.",
}


def add_page_context(app: Flask) -> None:
    """Give the templates their filters, and every page its visitor."""
    app.jinja_env.filters["money"] = format_cents
    app.jinja_env.filters["iso"] = iso
    app.jinja_env.filters["utc"] = utc
    app.jinja_env.filters["pretty_json"] = pretty_json
    app.jinja_env.filters["ago"] = partial(ago, clock=lambda: parts().clock())
    app.jinja_env.globals["retention_days"] = lambda: parts().settings.retention_days
    app.jinja_env.globals["test_mpid"] = str(TEST_MPID)
    app.jinja_env.globals["form_token"] = form_token
    app.jinja_env.globals["is_first_wrong"] = is_first_wrong
    app.jinja_env.globals["nav_url"] = nav_url
    app.jinja_env.globals["csp_nonce"] = lambda: g.csp_nonce
    app.jinja_env.globals["shop_name"] = "Higgs Shop"
    app.context_processor(_context)


def _context() -> dict[str, Any]:
    if not has_request_context():
        return {}
    visit = current_visitor.known_visit()
    customer = current_visitor.customer()
    with parts().database.read() as connection:
        standing = (
            parts().visitors.standing(connection, visit) if visit else Standing("anonymous", None)
        )
        return {
            "page_title": _title(),
            "strategy": parts().strategy,
            "visitor": {
                "mpid": None if standing.mpid is None else str(standing.mpid),
                "mpid_short": short_mpid(standing.mpid),
                "identity_state": standing.state,
                "customer": customer,
                "cart_count": current_visitor.cart(connection).count,
                "opted_out": visit is not None and visit.is_opted_out,
                "pending": [_pending(intent) for intent in standing.owed],
            },
            "x_ray": x_ray_of(connection, visit, standing) if may_observe() else None,
        }


def _title() -> str:
    return _TITLES.get(current_visitor.endpoint(), "Higgs Shop")


def _pending(intent: Intent) -> dict[str, Any]:
    return {
        "action": intent.action,
        "since_ms": intent.owed_since_ms,
        "next_attempt_ms": intent.next_attempt_ms,
        "reason": _REASONS.get(
            intent.error_code or "", "The identity service has not answered yet."
        )
        if intent.attempts or intent.error_code
        else "It is being asked right now.",
    }
