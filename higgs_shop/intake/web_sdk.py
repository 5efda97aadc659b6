"""What the Web SDK asks besides identity: where it uploads events, and where it reads its settings.

Source: the Web SDK. It labels JSON text/plain, so that no preflight is needed; it keeps and sends
again what is answered 400, 429 or 5xx, which holds up everything behind it. So a batch is never refused
for what is in it: what is sound is kept, the rest is kept in quarantine, and the answer is 202.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Final

from flask import Flask, Response, request

from higgs_shop.apis.edge import HEADERS, add_preflights, count_call, create_api, json_answer
from higgs_shop.apis.rate_limit import RateLimiter
from higgs_shop.intake.checking import Checked, check, read_json
from higgs_shop.intake.errors import BadRequest, Unauthorized
from higgs_shop.intake.intake import Intake
from higgs_shop.workspaces import Workspace

MAX_BATCH_BYTES: Final = 128 * 1024
_LONGEST_USER_AGENT: Final = 512

FindWorkspace = Callable[[str], Workspace | None]
"""Finds the workspace that an API key opens."""

_FLAGS: Final = {
    "cacheIdentity": "False",
    "directURLRouting": "False",
    "audienceAPI": "False",
    "astBackgroundEvents": "False",
    "captureIntegrationSpecificIds": "False",
    "eventBatchingIntervalMillis": "0",
    "offlineStorage": "0",
}


def create_web_intake(
    intake: Intake,
    *,
    find_workspace: FindWorkspace,
    trusted_hosts: Sequence[str] | None = None,
    rate_limiter: RateLimiter | None = None,
) -> Flask:
    """The Web SDK's uploads, as a WSGI application that is to be mounted at /webevents."""
    app = create_api(
        __name__,
        max_body_bytes=MAX_BATCH_BYTES,
        trusted_hosts=trusted_hosts,
        rate_limiter=rate_limiter,
    )

    @app.post("/v3/JS/<key>/events")
    def upload(key: str) -> Response:
        workspace = _opened_by(key, find_workspace, rate_limiter)
        body = request.get_data(cache=False)
        user_agent = request.user_agent.string[:_LONGEST_USER_AGENT]
        intake.keep_sound(
            intake.begin(workspace, "javascript", user_agent=user_agent), [_look_at(body)]
        )
        return _accepted()

    @app.post("/v1/JS/<key>/Forwarding")
    @app.post("/v2/JS/<key>/Forwarding")
    def report_forwarding(key: str) -> Response:
        """What the SDK's kits have done. There are none here."""
        _opened_by(key, find_workspace, rate_limiter)
        return _accepted()

    add_preflights(app)
    return app


def create_web_config(
    *,
    find_workspace: FindWorkspace,
    trusted_hosts: Sequence[str] | None = None,
    rate_limiter: RateLimiter | None = None,
) -> Flask:
    """The Web SDK's settings, as a WSGI application that is to be mounted at /tags."""
    app = create_api(
        __name__,
        max_body_bytes=MAX_BATCH_BYTES,
        trusted_hosts=trusted_hosts,
        rate_limiter=rate_limiter,
    )

    @app.get("/JS/v2/<key>/config")
    def config(key: str) -> Response:
        return json_answer(_config(_opened_by(key, find_workspace, rate_limiter)))

    add_preflights(app)
    return app


def _opened_by(
    key: str, find_workspace: FindWorkspace, rate_limiter: RateLimiter | None
) -> Workspace:
    # PostgreSQL cannot even be asked for a text with a NUL in it.
    workspace = None if "\x00" in key else find_workspace(key)
    if workspace is None:
        raise Unauthorized("the API key is not known")
    if rate_limiter is not None:
        count_call(rate_limiter, workspace.api_key)
    return workspace


def _look_at(body: bytes) -> Checked:
    try:
        return check(read_json(body), body)
    except BadRequest as error:
        return Checked(body, None, error.messages)


def _accepted() -> Response:
    return Response(status=202, headers=HEADERS)


def _config(workspace: Workspace) -> dict[str, Any]:
    """No kits, no pixels, events one by one; flags are texts, as the SDK reads them."""
    return {
        "appName": "Higgs Shop",
        # Names the SDK's storage in the browser; the key itself is nothing to be stored there.
        "workspaceToken": hashlib.sha256(workspace.api_key.encode()).hexdigest()[:8],
        "kitConfigs": [],
        "pixelConfigs": [],
        "minWebviewBridgeVersion": 1,
        "flags": _FLAGS,
    }
