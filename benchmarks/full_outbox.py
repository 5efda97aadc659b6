"""An outbox with messages that wait, as if they had been logged: filled in bulk, and watched as it empties."""

import threading
from collections.abc import Callable
from typing import Final

from sqlalchemy import func, insert, literal_column, select

from higgs_shop.database import Database
from higgs_shop.outputs import MAIN_OUTPUT, find_output
from higgs_shop.tables import mailboxes, messages
from higgs_shop.workspaces import DEFAULT_WORKSPACE

BODY_BYTES: Final = 1_500
"""About what the message of a screen view has."""

_AT_A_TIME: Final = 10_000
_LOOK_AGAIN_SECONDS: Final = 0.05
_ENQUEUED_AT_MS: Final = 1_772_360_100_000


def body_of(number: int) -> bytes:
    """A body of the usual size."""
    return b'{"number":%d,"filled":"%s"}' % (number, b"x" * BODY_BYTES)


def fill(database: Database, count: int, *, people: int) -> None:
    """Let so many messages wait, numbered from 0 and spread over so many people in turn."""
    with database.write() as connection:
        output = find_output(connection, DEFAULT_WORKSPACE, MAIN_OUTPUT)
        if output is None:
            raise RuntimeError("the store has no output")
        of_output = {"workspace_id": DEFAULT_WORKSPACE, "output_id": output.id}
    for first in range(0, count, _AT_A_TIME):
        rows = [
            {
                **of_output,
                "mpid": number % people + 1,
                "sequence": number // people + 1,
                "webhook_id": f"msg_{number}",
                "body": body_of(number),
                "state": "waiting",
                "attempts": 0,
                "attempts_before": 0,
                "enqueued_at_ms": _ENQUEUED_AT_MS,
                "next_attempt_ms": _ENQUEUED_AT_MS,
            }
            for number in range(first, min(first + _AT_A_TIME, count))
        ]
        with database.write() as connection:
            connection.execute(insert(messages), rows)
    # Last: who forwards meanwhile finds mailboxes that are full.
    with database.write() as connection:
        connection.execute(
            insert(mailboxes),
            [
                {
                    **of_output,
                    "mpid": mpid,
                    "last_sequence": count // people + 1,
                    "delivered_sequence": 0,
                    "due_at_ms": _ENQUEUED_AT_MS + mpid,
                }
                for mpid in range(1, people + 1)
            ],
        )


def waiting(database: Database) -> int:
    """How many messages still wait."""
    with database.read() as connection:
        found: int = connection.scalar(_WAITING) or 0
    return found


def until(condition: Callable[[], bool]) -> None:
    """Look again and again until it holds: another process brings it about."""
    never = threading.Event()
    while not condition():
        never.wait(_LOOK_AGAIN_SECONDS)


_WAITING: Final = select(func.count()).where(messages.c.state == literal_column("'waiting'"))
