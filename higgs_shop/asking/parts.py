"""The one typed way from a page or an endpoint to the parts of the store."""

from typing import cast

from flask import Flask, current_app

from higgs_shop.wiring import Parts

_NAME = "higgs_shop"


def keep_parts(app: Flask, wired: Parts) -> None:
    """Make the parts available to the pages of this application."""
    app.extensions[_NAME] = wired


def parts() -> Parts:
    """The parts of the application that answers this request."""
    return cast("Parts", current_app.extensions[_NAME])
