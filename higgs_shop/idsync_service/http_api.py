"""The identity service's edge: the five calls over HTTP, as official clients make them.

Source: IDSync HTTP API. Every answer, errors included, is JSON and readable from any origin.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final
from urllib.parse import quote, urlsplit

from flask import Flask, Request, Response, request

from higgs_shop.apis.edge import add_preflights, count_call, create_api, json_answer
from higgs_shop.apis.rate_limit import RateLimiter
from higgs_shop.clock import Clock
from higgs_shop.database import Database
from higgs_shop.identity_types import parse_mpid
from higgs_shop.idsync_service.authentication import Credentials, WorkspacesByKey, authenticate
from higgs_shop.idsync_service.decisions import digest_of
from higgs_shop.idsync_service.errors import BadRequest
from higgs_shop.idsync_service.messages import (
    IdentityRequest,
    ModifyRequest,
    read,
)
from higgs_shop.idsync_service.profiles import NewMpid
from higgs_shop.idsync_service.resolution import Action, Answer
from higgs_shop.idsync_service.resolver import Resolver
from higgs_shop.workspaces import Workspace

MAX_BODY_BYTES: Final = 64 * 1024


def create_service(
    database: Database,
    *,
    clock: Clock,
    new_mpid: NewMpid,
    trusted_hosts: Sequence[str] | None = None,
    clock_window_seconds: int = 300,
    rate_limiter: RateLimiter | None = None,
) -> Flask:
    """The identity service as a WSGI application, to be mounted or served by itself.

    Args:
        database: with the tables in place, and a workspace for each API key.
        clock: dates decisions, and judges the age of signatures.
        new_mpid: draws MPIDs, see `random_mpid`.
        trusted_hosts: the Host values that are served; None serves any.
        clock_window_seconds: how far a signature's date may be off.
        rate_limiter: counts the calls of each API key; None lets in any number.
    """
    app = create_api(
        "higgs_shop.idsync_service",
        max_body_bytes=MAX_BODY_BYTES,
        trusted_hosts=trusted_hosts,
        rate_limiter=rate_limiter,
    )
    find_workspace = WorkspacesByKey(database, clock=clock)
    resolver = Resolver(database, clock=clock, new_mpid=new_mpid)

    def accept() -> tuple[Workspace, _Query, bytes]:
        """Who calls, what the query says, and the body."""
        # The proxy would look the request up anew at every access.
        sent: Request = request._get_current_object()  # type: ignore[attr-defined]
        body = sent.get_data(cache=False)
        workspace = authenticate(
            credentials_of(sent, body),
            find_workspace,
            now_ms=clock(),
            clock_window_seconds=clock_window_seconds,
        )
        if rate_limiter is not None:
            count_call(rate_limiter, workspace.api_key)
        if sent.environ.get("CONTENT_TYPE") != "application/json":
            _refuse_foreign_charset(sent)
        return workspace, _read_query(sent), body

    def move(action: Action) -> Response:
        workspace, query, body = accept()
        asked = read(IdentityRequest, body)
        digest = digest_of(action, "", asked.content())
        answer = resolver.move(workspace, action, asked, digest, read_only=query.read_only)
        return json_answer(query.cut(answer))

    @app.post("/v1/identify")
    def identify() -> Response:
        return move("identify")

    @app.post("/v1/login")
    def login() -> Response:
        return move("login")

    @app.post("/v1/logout")
    def logout() -> Response:
        return move("logout")

    @app.post("/v1/search")
    def search() -> Response:
        workspace, query, body = accept()
        return json_answer(query.cut(resolver.search(workspace, read(IdentityRequest, body))))

    @app.post("/v1/<mpid>/modify")
    def modify(mpid: str) -> Response:
        workspace, query, body = accept()
        asked, number = _read_modify(body, mpid)
        digest = digest_of("modify", mpid, asked.content())
        answer = resolver.modify(workspace, number, asked, digest, read_only=query.read_only)
        return json_answer(query.cut(answer))

    add_preflights(app)
    return app


@dataclass(frozen=True, slots=True)
class _Query:
    """What may stand in the query string of a call.

    Attributes:
        read_only: answer as usual, and change nothing.
        return_matches: whether the answer tells the identities by which it was found.
    """

    read_only: bool = False
    return_matches: bool = True

    def cut(self, answer: Answer) -> Answer:
        """The answer without what was not asked for."""
        return answer if self.return_matches else {**answer, "matched_identities": {}}


_NO_QUERY: Final = _Query()
_UTF_8: Final = frozenset({"utf-8", "utf8", "us-ascii"})
_BOOLEANS: Final = {"true": True, "false": False}


def _read_query(sent: Request) -> _Query:
    """Raises BadRequest. Unknown parameters are ignored, as official clients expect."""
    if not sent.environ.get("QUERY_STRING"):
        return _NO_QUERY
    given = {
        field.name: sent.args.getlist(field.name)
        for field in fields(_Query)
        if field.name in sent.args
    }
    wrong = [
        name for name, values in given.items() if len(values) > 1 or values[0] not in _BOOLEANS
    ]
    if wrong:
        raise BadRequest(*(f"{name}: use true or false, once" for name in wrong))
    return _Query(**{name: _BOOLEANS[value] for name, (value,) in given.items()})


def _refuse_foreign_charset(sent: Request) -> None:
    """Raises BadRequest. The content type itself does not matter: beacons and curl send others."""
    charset = sent.mimetype_params.get("charset", "utf-8")
    if charset.lower() not in _UTF_8:
        raise BadRequest(f"Content-Type: send the body as UTF-8, not as {charset[:40]!r}")


def _read_modify(body: bytes, mpid: str) -> tuple[ModifyRequest, int]:
    faults: list[str] = []
    try:
        number = parse_mpid(mpid)
    except ValueError as error:
        number = 0
        faults.append(f"mpid: {error}")
    try:
        asked = read(ModifyRequest, body)
    except BadRequest as error:
        raise BadRequest(*faults, *error.messages) from error
    if faults:
        raise BadRequest(*faults)
    return asked, number


def credentials_of(sent: Request, body: bytes) -> Credentials:
    """What a request carries to prove who sends it."""
    headers = sent.environ  # asked directly: it is done at every call
    is_authorized = "HTTP_AUTHORIZATION" in headers
    basic = sent.authorization if is_authorized else None
    is_basic = basic is not None and basic.type == "basic" and basic.username is not None
    signature = headers.get("HTTP_X_MP_SIGNATURE")
    return Credentials(
        method=sent.method,
        paths=() if signature is None else _sent_paths(sent),
        body=body,
        key=headers.get("HTTP_X_MP_KEY"),
        signature=signature,
        date=headers.get("HTTP_DATE"),
        basic=(basic.username or "", basic.password or "") if basic and is_basic else None,
        is_basic_broken=is_authorized and not is_basic,
    )


def _sent_paths(sent: Request) -> tuple[str, str]:
    # The servers that keep the path as it was sent say so; within the process nothing was encoded.
    target = sent.environ.get("REQUEST_URI") or _quoted(sent.root_path.rstrip("/") + sent.path)
    if not target.startswith("/"):
        parts = urlsplit(target)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    path = target.partition("?")[0]
    query = sent.query_string.decode("latin-1")
    return path, f"{path}?{query}" if query else path


@functools.lru_cache(maxsize=256)
def _quoted(path: str) -> str:
    return quote(path, safe="/:@!$&'()*+,;=~-._")
