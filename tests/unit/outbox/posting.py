"""Filling an outbox, claiming from it and saying how it went, at a time that is given."""

from dataclasses import fields
from typing import Final

from sqlalchemy import Connection, select

from higgs_shop import outbox
from higgs_shop.database import Database
from higgs_shop.outbox import Attempt, Claim, Draft, Message
from higgs_shop.outputs import Output
from higgs_shop.tables import messages
from tests import webhook_outputs
from tests.webhook_outputs import an_output

NOW_MS: Final = 1_700_000_000_000
LEASE_MS: Final = 30_000
ADA: Final = 1001
BOB: Final = 1002


def at(now_ms: int) -> outbox.LeaseClock:
    return lambda _connection: now_ms


def body(sequence: int, webhook_id: str) -> bytes:
    return f"{sequence} {webhook_id}".encode()


def enqueue(
    connection: Connection, output: Output, mpid: int, event_id: int, *, now_ms: int = NOW_MS
) -> Message:
    sequence = outbox.enqueue(
        connection,
        workspace_id="default",
        output_id=output.id,
        mpid=mpid,
        drafts=[Draft(event_id, body)],
        now_ms=now_ms,
    )
    stored = connection.execute(
        select(*(messages.c[field.name] for field in fields(Message))).where(
            messages.c.workspace_id == "default",
            messages.c.mpid == mpid,
            messages.c.sequence == sequence,
        )
    )
    return Message(**stored.mappings().one())


def fill(database: Database, *mpids: int, now_ms: int = NOW_MS) -> list[Message]:
    """One message for each MPID given, in one transaction; event ids count from 1."""
    output = an_output(database)
    with database.write() as connection:
        return [
            enqueue(connection, output, mpid, at, now_ms=now_ms) for at, mpid in enumerate(mpids, 1)
        ]


def claim(database: Database, *, now_ms: int = NOW_MS, most: int = 50) -> Claim | None:
    return webhook_outputs.claim_due(database, clock=at(now_ms), lease_ms=LEASE_MS, most=most)


def must_claim(database: Database, *, now_ms: int = NOW_MS, most: int = 50) -> Claim:
    claimed = claim(database, now_ms=now_ms, most=most)
    assert claimed is not None
    return claimed


def delivered(message: Message, *, at_ms: int = NOW_MS) -> Attempt:
    return Attempt(
        message_id=message.id,
        number=message.attempts + 1,
        status_code=204,
        error=None,
        answer="",
        duration_ms=7,
        started_at_ms=at_ms,
        state="delivered",
        wait_ms=None,
    )


def failed(message: Message, *, wait_ms: int | None) -> Attempt:
    return Attempt(
        message_id=message.id,
        number=message.attempts + 1,
        status_code=None,
        error="receiver.example: no connection",
        answer="",
        duration_ms=7,
        started_at_ms=NOW_MS,
        state="dead" if wait_ms is None else "waiting",
        wait_ms=wait_ms,
    )
