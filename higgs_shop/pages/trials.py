"""Trying a receiver out: a test event is sent to it, and what waits for its next retry is tried now."""

from typing import Any, Final

from flask import Blueprint, abort, flash, redirect
from sqlalchemy import Connection
from werkzeug.wrappers import Response

from higgs_shop import outbox
from higgs_shop.asking.asked_connection import NO_SUCH_CONNECTION, output_or_404
from higgs_shop.asking.current_visitor import submitting_untracked
from higgs_shop.asking.looked_into import url_within
from higgs_shop.asking.observers import observers_only
from higgs_shop.asking.parts import parts
from higgs_shop.outputs import NoSuchOutput, Output, OutputRefused
from higgs_shop.pages.forms import BareForm
from higgs_shop.showing import next_try_of, sentence
from higgs_shop.tracker import TEST_MPID, send_test_event

bp = Blueprint("trials", __name__)
bp.before_request(observers_only)

_MESSAGE: Final = "int(max=9007199254740991)"
_PAUSED: Final = "The connection is paused, so nothing is tried. Press Go on sending first."


@bp.post("/connections/<name>/test")
def send(name: str) -> Response:
    """Send a test event, or try the last one again if it still waits; the answer says what came of it."""
    if not BareForm().validate_on_submit():
        abort(400)
    location = url_within("connections.show_one", name=name, _anchor="test-event")
    with submitting_untracked(location) as (connection, sent):
        output = output_or_404(connection, name)
        if sent.is_new:
            flash(_send(connection, output), "info")
    if sent.is_new:
        outbox.try_now(parts().database, output, mpid=TEST_MPID, now_ms=parts().clock())
    parts().forwarder.wake()
    return redirect(sent.location, 303)


@bp.post("/connections/<name>/try-now")
def try_all(name: str) -> Response:
    """Try now what waits for a retry, of everybody."""
    return _try_now(name, url_within("connections.show_one", name=name))


@bp.post(f"/connections/<name>/deliveries/<{_MESSAGE}:number>/try-now")
def try_one(name: str, number: int) -> Response:
    """The same for the person whose message it is: what waits before it goes first."""
    location = url_within("deliveries.show_one", name=name, number=number)
    return _try_now(name, location, number=number)


def trial_view(connection: Connection, output: Output) -> dict[str, Any] | None:
    """What came of the newest test event, for the templates; None when there was none."""
    newest = outbox.list_messages(connection, output, mpid=TEST_MPID, most=1)
    if not newest:
        return None
    (message,) = newest
    is_tried = message.attempts > 0
    return {
        "message_id": message.id,
        "state": message.state,
        "sign": "retrying" if is_tried and message.state == "waiting" else message.state,
        "attempts": message.attempts,
        "status_code": message.last_status,
        "error": message.last_error,
        "next_try": next_try_of(message, output, parts().clock()),
        "at_ms": message.closed_at_ms or message.enqueued_at_ms,
    }


def _send(connection: Connection, output: Output) -> str:
    """Returns: what is said of it."""
    try:
        is_new = send_test_event(connection, output, now_ms=parts().clock())
    except OutputRefused as refused:
        abort(400, f"No test event was sent. {sentence(refused.mistakes[0].reason)}")
    except NoSuchOutput:
        abort(404, NO_SUCH_CONNECTION)
    if is_new:
        return "A test event is on its way; under Test event is what comes of it."
    return "The last test event still waits to be delivered: that one is tried again now."


def _try_now(name: str, location: str, *, number: int | None = None) -> Response:
    if not BareForm().validate_on_submit():
        abort(400)
    with submitting_untracked(location) as (connection, sent):
        output = output_or_404(connection, name)
        mpid = None if number is None else _mpid_or_404(connection, output, number)
        if output.state == "paused":
            abort(400, _PAUSED)
    if sent.is_new:
        # It has transactions of its own, many short ones.
        people = outbox.try_now(parts().database, output, mpid=mpid, now_ms=parts().clock())
        flash(_tried_in_words(output, people), "info")
        parts().forwarder.wake()
    return redirect(sent.location, 303)


def _mpid_or_404(connection: Connection, output: Output, number: int) -> int:
    found = outbox.get_message(connection, output, number)
    if found is None:
        abort(404)
    message, _body = found
    return message.mpid


def _tried_in_words(output: Output, people: int) -> str:
    if output.unreachable_since_ms is not None:
        return "What waits is tried now, whether or not anybody answers."
    if people == 0:
        return "Nothing waits for a retry."
    return f"What waits of {people:,} {'person' if people == 1 else 'people'} is tried now."
