"""A sender with no store around it: what it is given to send, and what a receiver got of that."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from higgs_shop import outbox
from higgs_shop.database import Database
from higgs_shop.outbox import Draft
from higgs_shop.outgoing_http import OutgoingHttp
from higgs_shop.outputs import Output, find_output
from higgs_shop.webhook_output import Sender
from tests.network_faults import Received
from tests.webhook_outputs import an_output

SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ADA, BOB = 1001, 1002
TIMEOUT_SECONDS: Final = 5.0


def a_sender(
    database: Database, http: OutgoingHttp, clock: Callable[[], int], **options: Any
) -> Sender:
    """A sender whose waits are exactly those of its schedule, the usual one unless told."""
    return Sender(
        database,
        http,
        **{
            "timeout_seconds": TIMEOUT_SECONDS,
            "clock": clock,
            "inbox_address": "http://127.0.0.1:1/nobody",
            "secrets": [SECRET],
            "random": lambda: 0.5,
            "monotonic_seconds": lambda: clock() / 1_000,
            **options,
        },
    )


def enqueue(database: Database, *mpids: int, now_ms: int, output: Output | None = None) -> None:
    """One message for each MPID given, whose number is also the event's; for the main output unless told."""
    output = output or an_output(database)
    with database.write() as connection:
        for mpid in mpids:
            outbox.enqueue(
                connection,
                workspace_id="default",
                output_id=output.id,
                mpid=mpid,
                drafts=[Draft(mpid, partial(_body, mpid))],
                now_ms=now_ms,
            )


def deliver_all(sender: Sender) -> None:
    """Send whatever is due, until nothing is."""
    while sender.deliver_due():
        pass


def now(database: Database, output: Output) -> Output:
    """The output as it is stored now."""
    with database.read() as connection:
        found = find_output(connection, output.workspace_id, output.name)
    assert found is not None
    return found


def _body(mpid: int, sequence: int, webhook_id: str) -> bytes:
    facts = {"sequence": sequence, "webhook_id": f"{mpid}:{webhook_id}", "name": "Bosón ☕", "a": 1}
    return json.dumps(facts, ensure_ascii=False).encode()


def sequences(requests: Sequence[Received]) -> list[int]:
    """Their places in their person's order."""
    return [json.loads(each.body)["sequence"] for each in requests]
