"""Flask's session, kept on the server: the browser holds a random token and nothing else.

Flask-Login and Flask-WTF keep what they need in it. The device's stamp travels in a cookie of its
own, which scripts may read: it is no secret.
"""

import re
import uuid
from typing import Any, Final

from flask import Flask, Request, Response
from flask.sessions import SessionInterface, SessionMixin
from werkzeug.datastructures import CallbackDict

from higgs_shop.visitors import VISIT_DAYS, Visit, Visitors, new_csrf_secret

_DEVICE_DAYS: Final = 365
_STAMP: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
# Files, health checks and the inbox's API know no visitors, and neither does what is posted to an inbox.
_WITHOUT_VISITORS: Final = ("/static/", "/healthz", "/readyz", "/inbox/v1/")
_POSTED_WITHOUT_VISITORS: Final = re.compile(r"/inbox/(?!sessions$)[^/]*")


class VisitSession(CallbackDict[str, Any], SessionMixin):
    """What the server remembers of a browser.

    Attributes:
        visit: the stored visit; None for a browser that is new or whose cookie opens nothing.
        device_stamp: from the device's cookie, or a new one.
    """

    def __init__(self, visit: Visit | None, device_stamp: str) -> None:
        def on_update(_self: CallbackDict[str, Any]) -> None:
            self.modified = True

        super().__init__(visit.cookie_session if visit else {}, on_update)
        self.visit = visit
        self.device_stamp = visit.device_stamp if visit else device_stamp
        self.start_csrf()
        self.modified = False

    def start_csrf(self) -> None:
        """Have a CSRF secret from the start, so that rendering a form changes nothing."""
        self.setdefault("csrf_token", new_csrf_secret())

    def start_over(self) -> None:
        """Forget everything; a new CSRF secret. Done whenever somebody signs in or out."""
        self.clear()
        self.start_csrf()


class VisitSessionInterface(SessionInterface):
    """Loads a visit at the start of a request, and keeps what changed at its end."""

    def __init__(self, visitors: Visitors, *, secure: bool) -> None:
        prefix = "__Host-" if secure else ""
        self.visit_cookie = f"{prefix}higgs_visit"
        self.device_cookie = f"{prefix}higgs_device"
        self._visitors = visitors
        self._secure = secure

    def open_session(self, app: Flask, request: Request) -> VisitSession | None:  # noqa: ARG002 (Flask's)
        """The browser's session; an empty one when it has none."""
        stamp = request.cookies.get(self.device_cookie, "")
        stamp = stamp if _STAMP.fullmatch(stamp) else str(uuid.uuid4())
        token = self.token_of(request)
        if token is None or _knows_no_visitors(request):
            return VisitSession(None, stamp)
        return VisitSession(self._visitors.find(token), stamp)

    def token_of(self, request: Request) -> str | None:
        """What the visit's cookie holds."""
        token = request.cookies.get(self.visit_cookie, "")
        return token if 0 < len(token) <= 100 and token.isascii() else None

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:  # noqa: ARG002 (Flask's)
        """Keep the session if it changed, and hand out cookies that are new."""
        if not isinstance(session, VisitSession):
            return
        if session.modified:
            content = dict(session)
            if session.visit is None:
                session.visit = self._visitors.begin_visit(session.device_stamp, content)
            else:
                self._visitors.keep_session(session.visit, content)
        if session.visit is not None and session.visit.token is not None:
            self._set_cookie(response, self.visit_cookie, session.visit.token, VISIT_DAYS)
            self._set_cookie(
                response,
                self.device_cookie,
                session.visit.device_stamp,
                _DEVICE_DAYS,
                for_scripts=True,
            )

    def _set_cookie(
        self, response: Response, name: str, value: str, days: int, *, for_scripts: bool = False
    ) -> None:
        response.set_cookie(
            name,
            value,
            max_age=days * 86_400,
            httponly=not for_scripts,
            secure=self._secure,
            samesite="Lax",
            path="/",
        )


def _knows_no_visitors(request: Request) -> bool:
    is_posted = request.method == "POST" and _POSTED_WITHOUT_VISITORS.fullmatch(request.path)
    return bool(is_posted) or request.path.startswith(_WITHOUT_VISITORS)
