"""How many messages an output has given up: a number for monitors, that never falls."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, select

from higgs_shop.outbox.message import Attempt
from higgs_shop.outputs import Output
from higgs_shop.tables import given_up_totals
from higgs_shop.upsert import upserting


def count_given_up(connection: Connection, output: Output, attempts: Sequence[Attempt]) -> None:
    """Count those of these attempts that were a message's last, in the transaction that records them.

    It comes behind the mailbox, which everybody holds first, and is of one row: nobody waits in a circle.
    """
    given_up = sum(attempt.state == "dead" for attempt in attempts)
    if not given_up:
        return
    new = upserting(connection, given_up_totals).values(
        workspace_id=output.workspace_id, output_id=output.id, number=given_up
    )
    connection.execute(
        new.on_conflict_do_update(
            index_elements=["workspace_id", "output_id"],
            set_={"number": given_up_totals.c.number + new.excluded.number},
        )
    )


def given_up_total(connection: Connection, output: Output) -> int:
    """How many messages were given up at an output since it was made, delivered by now or not."""
    of = {"of_workspace": output.workspace_id, "of_output": output.id}
    return connection.scalar(_OF_OUTPUT, of) or 0


_OF_OUTPUT: Final = select(given_up_totals.c.number).where(
    given_up_totals.c.workspace_id == bindparam("of_workspace"),
    given_up_totals.c.output_id == bindparam("of_output"),
)
