"""What is carried over when somebody anonymous turns out to be a person with another profile.

It happens to a returning customer, and under profile_link to whoever signs up. The answer to a login
names the new user and the one before; the documentation's way is to copy the attributes and the cart
then, and to send an alias request for what was done before. The cart is the shop's own: it was merged
when the person signed in.
"""

from sqlalchemy import Connection

from higgs_shop.identity_client import AliasRequest, Device, IdentityResult
from higgs_shop.tracker import (
    EventLog,
    Tracker,
    UserAttributeChange,
    attributes_of,
    attributes_with_room,
    first_event_ms,
)
from higgs_shop.visitors import intents
from higgs_shop.visitors.intents import Intent
from higgs_shop.visitors.visits import Visit


def left_anonymous_profile(intent: Intent, result: IdentityResult) -> int | None:
    """The profile from which there is something to carry over; None when there is none."""
    previous = result.previous_user
    if intent.action != "login" or previous is None or not result.user_changed:
        return None
    return None if previous.is_logged_in else int(previous.mpid)


def copy_attributes(tracker: Tracker, log: EventLog, *, source_mpid: int, mpid: int) -> None:
    """Give the new user what was known of the one before, as far as they have room for it.

    What they have themselves stays.
    """
    theirs = attributes_of(log.connection, log.workspace_id, mpid)
    offered = attributes_of(log.connection, log.workspace_id, source_mpid)
    for name, value in attributes_with_room(theirs, offered).items():
        tracker.log(log, UserAttributeChange(name, value))


def owe_alias(
    connection: Connection, visit: Visit, *, source_mpid: int, mpid: int, now_ms: int
) -> None:
    """Ask for the events, too: no page and no event waits for it."""
    intents.owe(
        connection,
        visit.workspace_id,
        visit.id,
        action="alias",
        identities={},
        previous_mpid=source_mpid,
        mpid=mpid,
        now_ms=now_ms,
    )


def alias_request(
    connection: Connection, intent: Intent, device: Device, now_ms: int
) -> AliasRequest | None:
    """What to ask for; None when the device does not know the two any more.

    A user is first seen when the answer to identify comes, but their first events are a little older:
    they had waited for it.
    """
    source, destination = device.user(str(intent.previous_mpid)), device.user(str(intent.mpid))
    if intent.previous_mpid is None or source is None or destination is None:
        return None
    since_ms = first_event_ms(connection, intent.workspace_id, intent.previous_mpid)
    return AliasRequest.of(source, destination, since_ms=since_ms, now_ms=now_ms)
