"""Higgs Shop: a store that shows its own customer tracking while you shop.

Read it in this order; each part says more about itself:

1. `pages`            what visitors see. One module a page: read, track, render.
2. `visitors`         who is at the browser: visit, device, session, and identity calls still owed.
3. `identity_client`  asks the identity service who this is. Knows only HTTP.
4. `idsync_service`   answers that question. Embedded by default, reached over HTTP all the same.
5. `tracker`          turns what happened into events that belong to somebody.
6. `outbox`           keeps them until they are delivered.
7. `webhook_output`   delivers them, signed and in order, to a webhook.
8. `inbox`            the webhook receiver that comes with the store.
9. `shop`             what a shop knows: catalogue, carts, checkouts, orders, customers.

All of it happens in a workspace (`workspaces`). `wiring` is where the parts meet; `tables` is the data model on one page.
"""

from typing import TYPE_CHECKING

from higgs_shop.version import __version__

if TYPE_CHECKING:
    from flask import Flask

    from higgs_shop.settings import Settings

__all__ = ["__version__", "create_app"]


def create_app(settings: "Settings | None" = None) -> "Flask":
    """The store as a WSGI application, for any server: `higgs_shop:create_app()`.

    Args:
        settings: read from the environment and `.env` when left out.
    Raises: SettingsError when a setting is wrong.
    """
    # Imported here so that a part (the identity client, say) can be used without Flask.
    from higgs_shop.app import create_app as build  # noqa: PLC0415

    return build(settings)
