"""Clicks in the menu: a link logs "Navbar Click" and leads on.

Each rendered link carries a one-time token, so that a reload or the back button logs nothing more.
An event that is logged on the way cannot get lost while a page is being left.
"""

import re
import secrets
from typing import Final

from flask import Blueprint, abort, redirect, request, url_for
from werkzeug.wrappers import Response

from higgs_shop.asking.current_visitor import stepping, visited

bp = visited(Blueprint("navigation", __name__))

_ITEMS: Final = {
    "home": ("Home", "landing.show"),
    "shop": ("Shop All", "landing.show"),
    "about": ("About", "about.show"),
    "account": ("Account", "account.show"),
    "cart": ("Cart", "cart.show"),
}
_ONCE: Final = re.compile(r"[0-9a-zA-Z_-]{8,64}", re.ASCII)


@bp.get("/go/<item>")
def go(item: str) -> Response:
    """Log the click, unless this very link was followed before, and lead on."""
    if item not in _ITEMS:
        abort(404)
    label, endpoint = _ITEMS[item]
    once = request.args.get("once", "")
    if _ONCE.fullmatch(once):
        with stepping() as step:
            step.custom_event(
                "Navbar Click", "navigation", once=f"{step.visit.id}:{once}", label=label
            )
    return redirect(url_for(endpoint), 302)


def nav_url(item: str) -> str:
    """The address of a menu item, for templates."""
    return url_for("navigation.go", item=item, once=secrets.token_urlsafe(9))
