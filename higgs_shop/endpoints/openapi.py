"""The OpenAPI document of every HTTP API of the store, for tools and other people's tests."""

import functools
import json
from collections.abc import Mapping
from typing import Final

from flask import Blueprint, Response

from higgs_shop.apis.openapi import Api, document
from higgs_shop.endpoints.inbox_description import INBOX_API, INBOX_MOUNT
from higgs_shop.version import __version__
from higgs_shop.wiring import APIS

bp = Blueprint("openapi", __name__)

EVERY_API: Final[Mapping[str, Api]] = {**APIS, INBOX_MOUNT: INBOX_API}
"""Those that are mounted beside the pages, and the one among them."""


@bp.get("/openapi.json")
def show() -> Response:
    """The same for everybody, readable by pages of any origin."""
    response = Response(_document(), content_type="application/json")
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


@functools.cache
def _document() -> bytes:
    return json.dumps(document("Higgs Shop", __version__, EVERY_API)).encode()
