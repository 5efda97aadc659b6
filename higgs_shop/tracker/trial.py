"""The test event: what somebody sends to one output on purpose, to see whether its receiver takes it.

It goes the way of all messages, through the outbox, signed and tried again. But nothing has happened:
it has no row in `events`, so that no profile, timeline or count ever holds it, and it is about a person
whom nobody is.
"""

import uuid
from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection

from higgs_shop import outbox
from higgs_shop.mistakes import Mistake
from higgs_shop.outputs import NoSuchOutput, Output, OutputRefused, OutputSettings, held_output
from higgs_shop.tracker.batch import (
    Origin,
    Person,
    batch_body,
    event_json,
    numbered,
)
from higgs_shop.tracker.events import CustomEvent
from higgs_shop.tracker.json_text import compact_json
from higgs_shop.version import __version__

TEST_MPID: Final = -1
"""Whose test events are. The embedded identity service gives out positive numbers, and a remote one draws
from all 64 bits; a shopper's own number would put tests between what that shopper did.
"""

TEST_EVENT: Final = CustomEvent("Test Event", "other", {"is_test": True})

_ORIGIN: Final = Origin(
    channel="server_to_server",
    # Also in production: mParticle's word for data that is there for testing.
    environment="development",
    device_info={"platform": "out_of_band"},
    application_info={"application_name": "Higgs Shop", "application_version": __version__},
)


def send_test_event(
    connection: Connection,
    output: Output,
    *,
    now_ms: int,
    new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
) -> bool:
    """Give an output a test event, whatever events it wants; it is due at once, and gathers with nothing.

    Args:
        connection: of the caller's write transaction.
        now_ms: when.
        new_id: a new random UUID as text, for the event's id.
    Returns: False when the last one still waits to be delivered: it is as good as another.
    Raises: NoSuchOutput. OutputRefused while nothing would be sent; the mistake says what to do about it.
    """
    held = held_output(connection, output.workspace_id, output.id)
    if held is None:
        raise NoSuchOutput(output.name)
    mistake = why_no_test_event(held)
    if mistake is not None:
        raise OutputRefused([mistake])
    if outbox.list_messages(connection, held, state="waiting", mpid=TEST_MPID, most=1):
        return False
    outbox.enqueue(
        connection,
        workspace_id=held.workspace_id,
        output_id=held.id,
        mpid=TEST_MPID,
        drafts=[_draft(held.settings, new_id(), now_ms)],
        now_ms=now_ms,
    )
    return True


def why_no_test_event(output: Output) -> Mistake | None:
    """What keeps an output from sending a test event, and the way out; None when nothing does."""
    if output.state == "paused":
        return Mistake("state", "paused", "it is paused; press Go on sending first")
    if not output.settings.is_active:
        return Mistake("is_active", "off", "it is inactive; switch on Active in its settings first")
    if output.is_full:
        reason = "too much waits already; let the receiver take some of that first"
        return Mistake("is_full", "on", reason)
    return None


def _draft(settings: OutputSettings, source_message_id: str, now_ms: int) -> outbox.Draft:
    data = {**numbered(now_ms, source_message_id, None), **TEST_EVENT.data()}

    def make_body(sequence: int, webhook_id: str) -> bytes:
        return batch_body(
            events=[event_json(TEST_EVENT.event_type, compact_json(data))],
            person=Person(TEST_MPID, identities=(), attributes={}),
            origin=_ORIGIN,
            sequence=sequence,
            session_sequences=(),
            received_at_ms=now_ms,
            webhook_id=webhook_id,
            settings=settings,
        )

    return outbox.Draft(None, make_body)
