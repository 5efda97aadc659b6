"""What is to be delivered again: which messages of an output a replay is about."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    func,
    select,
)

from higgs_shop.outbox.deliveries import ListedMessage, list_newest, of_output
from higgs_shop.outbox.message import State
from higgs_shop.outputs import Output
from higgs_shop.tables import messages


@dataclass(frozen=True, slots=True)
class ReplayChoice:
    """Which messages of an output to deliver again: those for which all holds that is given.

    What waits is delivered anyway, and never chosen.

    Attributes:
        only_dead: those that were given up, and not those that were delivered.
        message_ids: these ones.
        from_ms, until_ms: enqueued at or after, and before; UTC Unix milliseconds.
        mpid: of this person.
        webhook_id: the one with this id.
    """

    only_dead: bool = True
    message_ids: tuple[int, ...] | None = None
    from_ms: int | None = None
    until_ms: int | None = None
    mpid: int | None = None
    webhook_id: str | None = None


def count_chosen(connection: Connection, output: Output, choice: ReplayChoice, *, most: int) -> int:
    """How many messages a replay would be about, counted up to `most`."""
    counted = 0
    for state in states_of(choice):
        found = select(messages.c.id).where(
            *conditions_of(output, choice), messages.c.state == state
        )
        limited = found.limit(most - counted).subquery("found")
        counted += connection.execute(select(func.count()).select_from(limited)).scalar_one()
    return counted


def list_chosen(
    connection: Connection,
    output: Output,
    choice: ReplayChoice,
    *,
    before_id: int | None = None,
    most: int,
) -> list[ListedMessage]:
    """What a replay would be about, newest first; see list_messages for the rest."""
    return list_newest(
        connection, states_of(choice), conditions_of(output, choice), before_id=before_id, most=most
    )


def states_of(choice: ReplayChoice) -> tuple[State, ...]:
    """Which states its messages may be in; what waits is on its way already."""
    return ("dead",) if choice.only_dead else ("dead", "delivered")


def conditions_of(output: Output, choice: ReplayChoice) -> list[ColumnElement[bool]]:
    """What holds for the messages of this output that it is about, whatever their state."""
    conditions = [*of_output(output)]
    if choice.message_ids is not None:
        conditions.append(messages.c.id.in_(choice.message_ids))
    if choice.from_ms is not None:
        conditions.append(messages.c.enqueued_at_ms >= choice.from_ms)
    if choice.until_ms is not None:
        conditions.append(messages.c.enqueued_at_ms < choice.until_ms)
    if choice.mpid is not None:
        conditions.append(messages.c.mpid == choice.mpid)
    if choice.webhook_id is not None:
        # No id holds what is not ASCII, or NUL; and databases do not take all of it.
        id_like = choice.webhook_id.encode("ascii", "replace").replace(b"\x00", b"?").decode()
        conditions.append(messages.c.webhook_id == id_like)
    return conditions


def as_stored(choice: ReplayChoice) -> dict[str, Any]:
    """The choice as JSON."""
    return {name: value for name, value in asdict(choice).items() if value is not None}


def as_chosen(stored: Mapping[str, Any]) -> ReplayChoice:
    """The choice that was stored so."""
    ids = stored.get("message_ids")
    return ReplayChoice(**{**stored, "message_ids": None if ids is None else tuple(ids)})
