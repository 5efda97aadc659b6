"""What servers send: one batch, or many at once, with HTTP Basic credentials.

Source: Events API documentation. One batch is refused for anything that is wrong with it. Of many, as
documented, the request is accepted as a whole: those that are wrong are kept in quarantine.
"""

import hmac
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from flask import Flask, Request, Response, request

from higgs_shop.apis.edge import HEADERS, add_preflights, count_call, create_api
from higgs_shop.apis.rate_limit import RateLimiter
from higgs_shop.intake.checking import Checked, check, read_json
from higgs_shop.intake.errors import BadRequest, Forbidden, TooLarge, Unauthorized
from higgs_shop.intake.intake import Intake
from higgs_shop.intake.web_sdk import MAX_BATCH_BYTES, FindWorkspace
from higgs_shop.tracker import compact_json
from higgs_shop.workspaces import Workspace

MAX_BODY_BYTES: Final = 256 * 1024
MAX_BATCHES: Final = 100
HISTORICAL_AFTER_MS: Final = 72 * 60 * 60 * 1_000
"""How old data have to be that are said to be old."""

_TOO_LARGE: Final = f"a batch may have {MAX_BATCH_BYTES} bytes"


def create_server_intake(
    intake: Intake,
    *,
    find_workspace: FindWorkspace,
    trusted_hosts: Sequence[str] | None = None,
    rate_limiter: RateLimiter | None = None,
) -> Flask:
    """The server-to-server Events API, as a WSGI application that is to be mounted at /s2s."""
    app = create_api(
        __name__,
        max_body_bytes=MAX_BODY_BYTES,
        trusted_hosts=trusted_hosts,
        rate_limiter=rate_limiter,
    )

    @app.post("/v2/events")
    def events() -> Response:
        workspace = _caller(request, find_workspace, rate_limiter)
        body = request.get_data(cache=False)
        if len(body) > MAX_BATCH_BYTES:
            raise TooLarge(_TOO_LARGE)
        checked = check(read_json(body), body)
        if checked.sound is None or checked.faults:
            raise BadRequest(*checked.faults)
        upload = intake.begin(workspace, "server_to_server")
        intake.keep_whole(upload, intake.attribute(upload, checked.sound, checked))
        return Response(status=202, headers=HEADERS)

    @app.post("/v2/bulkevents")
    def bulk_events() -> Response:
        workspace = _caller(request, find_workspace, rate_limiter)
        looked_at = [_whole(_look_at(members)) for members in _read_batches(request)]
        intake.keep_sound(intake.begin(workspace, "server_to_server"), looked_at)
        return Response(status=202, headers=HEADERS)

    @app.post("/v2/bulkevents/historical")
    def historical_events() -> Response:
        workspace = _caller(request, find_workspace, rate_limiter)
        upload = intake.begin(workspace, "server_to_server", is_historical=True)
        until_ms = upload.received_at_ms - HISTORICAL_AFTER_MS
        looked_at = [
            _whole(_historical(_look_at(members), until_ms)) for members in _read_batches(request)
        ]
        intake.keep_sound(upload, looked_at)
        return Response(status=202, headers=HEADERS)

    add_preflights(app)
    return app


def _caller(
    sent: Request, find_workspace: FindWorkspace, rate_limiter: RateLimiter | None
) -> Workspace:
    if "HTTP_AUTHORIZATION" not in sent.environ:
        raise Unauthorized("send the API key and its secret as HTTP Basic credentials")
    basic = sent.authorization
    if basic is None or basic.type != "basic" or not basic.username:
        raise Forbidden("the Authorization header is not HTTP Basic with key and secret")
    # PostgreSQL cannot even be asked for a text with a NUL in it.
    workspace = None if "\x00" in basic.username else find_workspace(basic.username)
    given = (basic.password or "").encode("utf-8", "replace")
    if workspace is None or not hmac.compare_digest(given, workspace.api_secret.encode()):
        raise Forbidden("the API key is not known, or the secret is not its own")
    if rate_limiter is not None:
        count_call(rate_limiter, workspace.api_key)
    return workspace


def _read_batches(sent: Request) -> list[Any]:
    batches = read_json(sent.get_data(cache=False))
    if not isinstance(batches, list):
        raise BadRequest("the body is an array of batches")
    if len(batches) > MAX_BATCHES:
        raise BadRequest(f"the body has {len(batches)} batches; send {MAX_BATCHES} at most")
    return batches


def _look_at(members: Any) -> Checked:
    body = compact_json(members).encode()
    if len(body) > MAX_BATCH_BYTES:
        return Checked(body, None, (_TOO_LARGE,))
    return check(members, body)


def _whole(checked: Checked) -> Checked:
    """A batch of a server is kept whole, or not at all."""
    return replace(checked, sound=None) if checked.faults else checked


def _historical(checked: Checked, until_ms: int) -> Checked:
    """Old data have to be events, and old."""
    if checked.sound is None:
        return checked
    faults = list(checked.faults)
    if not checked.sound.events:
        faults.append("events: historical data are events, and there are none")
    for number, event in enumerate(checked.sound.events):
        at_ms = event.data.timestamp_unixtime_ms
        if at_ms is None or at_ms > until_ms:
            faults.append(
                f"events.{number}.data.timestamp_unixtime_ms: must be given, and be more than 72 hours ago"
            )
    return replace(checked, faults=tuple(faults))
