"""What visitors see: one module a page, each reads, tracks and renders. Begin with `landing`.

`forms` and `connection_forms` say what is read from people, `page_context` what every page shows. Who asks
is known before a page is reached (`asking`); how things stand is put into words beside them (`showing`).
"""

from higgs_shop.pages import (
    about,
    account,
    cart,
    checkout,
    connection_changes,
    connections,
    deliveries,
    inbox,
    inbox_changes,
    intake,
    landing,
    navigation,
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
from higgs_shop.pages.page_context import add_page_context

__all__ = ["BLUEPRINTS", "add_page_context"]

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
    profiles.bp,
    connections.bp,
    connection_changes.bp,
    deliveries.bp,
    replays.bp,
    trials.bp,
    intake.bp,
    workspaces.bp,
    operator.bp,
)
"""Every page of the store, for the application to register."""
