"""What an output was given, message by message: those that wait, that were delivered, that were given up.

It reads what is stored and logs nothing. What changes by itself is also answered alone, as `?part=state`,
for live.js.
"""

import json
from typing import Any, Final, get_args

from flask import Blueprint, abort, render_template, request, session

from higgs_shop import outbox
from higgs_shop.asking.asked_connection import output_or_404
from higgs_shop.asking.looked_into import choice_of, url_within, workspace_or_404
from higgs_shop.asking.observers import observers_only
from higgs_shop.asking.parts import parts
from higgs_shop.idsync_service import parse_mpid
from higgs_shop.outbox import ListedAttempt, ListedMessage, State
from higgs_shop.outputs import Output
from higgs_shop.showing import can_try_now, counts_view, next_try_of, short_mpid, span
from higgs_shop.tracker import TEST_EVENT, TEST_MPID

bp = Blueprint("deliveries", __name__)
bp.before_request(observers_only)

_PAGE: Final = 50
_MESSAGE: Final = "int(max=9007199254740991)"
STATES: Final[tuple[State, ...]] = get_args(State)


@bp.get("/connections/<name>/deliveries")
def show(name: str) -> str:
    """An output's messages, newest first: all, those in one state, or one person's."""
    state = _state()
    sought = request.args.get("mpid", "").strip()
    mpid, mistake = _mpid(sought)
    with parts().database.read() as connection:
        output = output_or_404(connection, name)
        found = (
            []
            if mistake
            else outbox.list_messages(
                connection, output, state=state, mpid=mpid, before_id=_before(), most=_PAGE + 1
            )
        )
        return render_template(
            "pages/deliveries.html",
            name=output.name,
            is_paused=output.state == "paused",
            state=state,
            states=STATES,
            sought=sought,
            mistake=mistake,
            counts=counts_view(outbox.count_messages(connection, output)),
            messages=_with_gaps(
                found[:_PAGE], output, is_all_of_one=mpid is not None and state is None
            ),
            older_url=_older_url(name, found, state, sought),
            live_url=_url(name, state, sought, before=_before(), part="state"),
            **choice_of(connection, workspace_or_404(connection), "connections.show"),
        )


@bp.get(f"/connections/<name>/deliveries/<{_MESSAGE}:number>")
def show_one(name: str, number: int) -> str:
    """One message: its id and body, and every attempt at it."""
    with parts().database.read() as connection:
        output = output_or_404(connection, name)
        found = outbox.get_message(connection, output, number)
        if found is None:
            abort(404)
        message, body = found
        session.modified = True  # the form's CSRF token wants a session that is kept
        return render_template(
            "pages/one_delivery.html",
            name=output.name,
            message=_message(message, output),
            can_try_now=message.state == "waiting"
            and can_try_now(connection, output, mpid=message.mpid, now_ms=parts().clock()),
            body=_readable(body),
            content_length=len(body),
            attempts=[_attempt(each) for each in outbox.list_attempts(connection, output, number)],
            **choice_of(connection, workspace_or_404(connection), "connections.show"),
        )


def _state() -> State | None:
    asked = request.args.get("state")
    return next((state for state in STATES if state == asked), None)


def _mpid(text: str) -> tuple[int | None, str | None]:
    """The person who is asked for, and what is wrong with how that was typed."""
    if not text:
        return None, None
    try:
        return parse_mpid(text), None
    except ValueError:
        return None, "An MPID is a whole number; copy it from a profile."


def _before() -> int | None:
    before = request.args.get("before", type=int)
    return before if before is not None and 0 < before < 2**53 else None


def _older_url(
    name: str, found: list[ListedMessage], state: State | None, sought: str
) -> str | None:
    if len(found) <= _PAGE:
        return None
    return _url(name, state, sought, before=found[_PAGE - 1].id)


def _url(name: str, state: State | None, sought: str, **more: Any) -> str:
    """The list with what is looked for in it."""
    return url_within("deliveries.show", name=name, state=state, mpid=sought or None, **more)


def _with_gaps(
    found: list[ListedMessage], output: Output, *, is_all_of_one: bool
) -> list[dict[str, Any]]:
    """The messages for the templates; where the list is one person's, whole, a gap is marked above it.

    What was given up leaves a hole once a later one was delivered: that one told the receiver. What was
    delivered before it was replayed leaves none, whatever becomes of the replay.
    """
    views = []
    gone_on = False
    for message in found:
        was_delivered = message.state == "delivered" or message.delivered_before_ms is not None
        is_lost = message.state == "dead" and not was_delivered
        views.append({**_message(message, output), "is_gap": is_all_of_one and is_lost and gone_on})
        gone_on = gone_on or was_delivered
    return views


def _message(message: ListedMessage, output: Output) -> dict[str, Any]:
    is_tried = message.state == "waiting" and message.attempts > 0
    is_test = message.mpid == TEST_MPID
    return {
        "id": message.id,
        "mpid": str(message.mpid),
        "mpid_short": short_mpid(message.mpid),
        "sequence": message.sequence,
        "event_type": TEST_EVENT.event_type if is_test else message.event_type,
        "name": TEST_EVENT.name if is_test else message.name,
        "webhook_id": message.webhook_id,
        "state": message.state,
        "sign": "retrying" if is_tried else message.state,
        "attempts": message.attempts,
        "last_status": message.last_status,
        "last_error": message.last_error,
        "enqueued_at_ms": message.enqueued_at_ms,
        "next_try": next_try_of(message, output, parts().clock()),
        "closed_at_ms": message.closed_at_ms,
        "is_replayed": message.is_replayed,
        "delivered_before_ms": message.delivered_before_ms,
    }


def _attempt(attempt: ListedAttempt) -> dict[str, Any]:
    succeeded = attempt.status_code is not None and 200 <= attempt.status_code < 300
    return {
        "number": attempt.number,
        "status_code": attempt.status_code,
        "error": attempt.error,
        "answer": attempt.answer,
        "location": attempt.location,
        "retry_after": attempt.retry_after,
        "wait": span(attempt.wait_ms / 1_000) if attempt.wait_ms else None,
        "duration_ms": attempt.duration_ms,
        "started_at_ms": attempt.started_at_ms,
        "sign": "delivered" if succeeded else "failed",
    }


def _readable(body: bytes) -> Any:
    """The body as JSON: the store has written it."""
    return json.loads(body)
