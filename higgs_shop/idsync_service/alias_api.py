"""The identity service's second edge: alias requests, as official clients make them.

Source: IDSync documentation, "Aliasing", and the Web SDK, which gives the key in the path and no header.
Mobile SDKs write the last word in lower case.
"""

import dataclasses
from collections.abc import Sequence
from typing import Final

from flask import Flask, Response, abort, request

from higgs_shop.apis.edge import HEADERS, add_preflights, count_call, create_api, json_answer
from higgs_shop.apis.rate_limit import RateLimiter
from higgs_shop.clock import Clock
from higgs_shop.idsync_service.aliases import Aliases
from higgs_shop.idsync_service.authentication import FindWorkspace, authenticate
from higgs_shop.idsync_service.errors import BadRequest, IdSyncError, Unauthorized
from higgs_shop.idsync_service.http_api import MAX_BODY_BYTES, credentials_of
from higgs_shop.idsync_service.messages import AliasRequest, read
from higgs_shop.workspaces import Workspace

_LAST_WORD: Final = "alias"


def create_alias_service(
    aliases: Aliases,
    *,
    find_workspace: FindWorkspace,
    clock: Clock,
    trusted_hosts: Sequence[str] | None = None,
    clock_window_seconds: int = 300,
    rate_limiter: RateLimiter | None = None,
) -> Flask:
    """Aliasing as a WSGI application, to be mounted at /webevents/v1/identity.

    Args:
        trusted_hosts: the Host values that are served; None serves any.
        clock_window_seconds: how far a signature's date may be off.
        rate_limiter: counts the calls of each API key; None lets in any number.
    """
    app = create_api(
        __name__,
        max_body_bytes=MAX_BODY_BYTES,
        trusted_hosts=trusted_hosts,
        rate_limiter=rate_limiter,
    )

    def caller(key: str, body: bytes) -> Workspace:
        """The key opens the door alone; a secret or signature that is sent as well must be right."""
        sent = credentials_of(request, body)
        workspace = authenticate(
            dataclasses.replace(sent, key=sent.key or key),
            find_workspace,
            now_ms=clock(),
            clock_window_seconds=clock_window_seconds,
        )
        if workspace.api_key != key:
            raise Unauthorized("the API key in the path is another one")
        if rate_limiter is not None:
            count_call(rate_limiter, key)
        return workspace

    @app.post("/<key>/<word>")
    def alias(key: str, word: str) -> Response:
        if word.lower() != _LAST_WORD:
            abort(404)
        body = request.get_data(cache=False)
        workspace = caller(key, body)
        asked = read(AliasRequest, body)
        if asked.api_key not in (None, workspace.api_key):
            raise BadRequest("api_key: is another one than in the path")
        aliases.accept(workspace, asked)
        return Response(status=202, headers=HEADERS)

    app.register_error_handler(IdSyncError, _refused)
    add_preflights(app)
    return app


def _refused(error: IdSyncError) -> Response:
    """The documented body, and what the Web SDK reads: one message, at the top."""
    told = {"message": "; ".join(error.messages), "code": error.code}
    return json_answer(error.body() | told, error.status_code)
