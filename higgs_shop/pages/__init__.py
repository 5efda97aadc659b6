"""What visitors see: one module a page, each reads, tracks and renders. Begin with `landing`.

Not pages, but what they stand on: `current_visitor` (who asks), `forms` (what is read from them),
`page_context` (what every page shows), `observers` (who may look behind the scenes).
"""

from flask import Flask

from higgs_shop.pages import (
    about,
    account,
    cart,
    checkout,
    health,
    inbox,
    landing,
    navigation,
    operator,
    order,
    privacy,
    product,
    x_ray,
)
from higgs_shop.pages.current_visitor import load_signed_in
from higgs_shop.pages.page_context import add_page_context
from higgs_shop.pages.parts import keep_parts, parts
from higgs_shop.pages.visit_session import VisitSession, VisitSessionInterface

__all__ = [
    "VisitSession",
    "VisitSessionInterface",
    "add_page_context",
    "add_pages",
    "keep_parts",
    "load_signed_in",
    "parts",
]


def add_pages(app: Flask) -> None:
    """Register every page of the store."""
    for module in (
        landing,
        product,
        cart,
        checkout,
        order,
        account,
        about,
        privacy,
        navigation,
        x_ray,
        inbox,
        operator,
        health,
    ):
        app.register_blueprint(module.bp)
    app.register_blueprint(inbox.receiver)
