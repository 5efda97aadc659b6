"""The webhook receiver, which keeps what is posted and then answers as it is told to."""

from typing import Final

from flask import Blueprint, Response, abort, request

from higgs_shop.asking.parts import parts
from higgs_shop.endpoints.inbox_signing import check_of, sender_of
from higgs_shop.hanging_up import NoAnswer
from higgs_shop.inbox import Answer, NoSuchSession, claim_session, find_session, keep, take_answer

bp = Blueprint("inbox_receiver", __name__)

MOST_KIBIBYTES: Final = 256
"""A larger body is refused."""


@bp.post("/inbox/<token>")
def receive(token: str) -> Response:
    """Keep what was posted. Any sender may post who knows the token."""
    own_token = parts().secrets.inbox_token
    if token != own_token:
        # Strangers who guess get neither their body read nor a turn at writing.
        with parts().database.read() as connection:
            if find_session(connection, parts().workspace_id, token, own_token=own_token) is None:
                abort(404)
    request.max_content_length = MOST_KIBIBYTES * 1024
    body = request.get_data()
    headers = list(request.headers.items())
    sender = sender_of(token, dict(headers), body)
    with parts().held_answers.place() as place:
        with parts().database.write() as connection:
            try:
                session = claim_session(
                    connection,
                    parts().workspace_id,
                    token,
                    own_token=own_token,
                    now_ms=parts().clock(),
                )
            except NoSuchSession:
                abort(404)
            answer = take_answer(connection, session)
            if answer.delay_ms and not place.take():
                answer = answer.at_once()
            keep(
                connection,
                session,
                method=request.method,
                path=request.full_path.rstrip("?"),
                headers=headers,
                body=body,
                answer=answer,
                verify=check_of(session),
                sender=sender,
                now_ms=parts().clock(),
            )
        # It is kept, whatever becomes of the answer.
        if answer.delay_ms:
            place.hold(answer.delay_ms)
    return _response(answer)


def _response(answer: Answer) -> Response:
    if answer.status is None:
        return Response(NoAnswer(), 500)
    text = f"This inbox was told to answer {answer.status}.\n" if answer.status >= 400 else ""
    response = Response(text, answer.status, mimetype="text/plain")
    if answer.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(answer.retry_after_seconds)
    return response
