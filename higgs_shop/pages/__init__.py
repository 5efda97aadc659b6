"""What visitors see: one module a page, each reads, tracks and renders. Begin with `landing`.

Not pages, but what they stand on: `current_visitor` (who asks), `forms` (what is read from them),
`page_context` (what every page shows), `observers` (who may look behind the scenes), `gate` (what is
refused before any page is asked), `error_pages`.
"""

from higgs_shop.pages import (
    about,
    account,
    cart,
    checkout,
    connection_changes,
    connections,
    deliveries,
    health,
    inbox,
    inbox_api,
    inbox_changes,
    inbox_receiver,
    intake,
    landing,
    navigation,
    openapi,
    operator,
    order,
    privacy,
    product,
    profiles,
    replays,
    trials,
    workspaces,
    x_ray,
)
from higgs_shop.pages.current_visitor import load_signed_in
from higgs_shop.pages.error_pages import add_error_pages
from higgs_shop.pages.gate import add_gate
from higgs_shop.pages.page_context import add_page_context
from higgs_shop.pages.parts import keep_parts
from higgs_shop.pages.visit_session import VisitSessionInterface

__all__ = [
    "BLUEPRINTS",
    "VisitSessionInterface",
    "add_error_pages",
    "add_gate",
    "add_page_context",
    "keep_parts",
    "load_signed_in",
]

BLUEPRINTS = (
    landing.bp,
    product.bp,
    cart.bp,
    checkout.bp,
    order.bp,
    account.bp,
    about.bp,
    privacy.bp,
    navigation.bp,
    x_ray.bp,
    inbox.bp,
    inbox_changes.bp,
    inbox_api.bp,
    inbox_receiver.bp,
    profiles.bp,
    connections.bp,
    connection_changes.bp,
    deliveries.bp,
    replays.bp,
    trials.bp,
    intake.bp,
    workspaces.bp,
    operator.bp,
    health.bp,
    openapi.bp,
)
"""Every page of the store, for the application to register."""
