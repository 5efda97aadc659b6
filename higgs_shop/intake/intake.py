"""Takes batches in: finds out whom they are about, and keeps them, once each, with all that follows.

No write transaction is open while somebody is looked up; all batches of one request are kept in one,
or none is.
"""

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy.exc import IntegrityError

from higgs_shop.clock import Clock
from higgs_shop.database import Database, Deadlock
from higgs_shop.intake import quarantine
from higgs_shop.intake.attribution import Resolve, known_identities
from higgs_shop.intake.checking import Checked
from higgs_shop.intake.errors import BadRequest, Unauthorized
from higgs_shop.intake.messages import Batch, SentEvent
from higgs_shop.intake.normalising import name_of, normalised
from higgs_shop.tracker import (
    MOST_ATTRIBUTES,
    MOST_ATTRIBUTES_BYTES,
    AttributeChange,
    AttributeNews,
    Channel,
    Origin,
    ReceivedBatch,
    ReceivedEvent,
    keep_batch,
    mpid_of_batch,
)
from higgs_shop.workspaces import Workspace, find_workspace

TRACKS_FOR_ITS_CALLER = True

_MOST_NAMED: Final = 10
_MOST_SHOWN_CHARACTERS: Final = 80


@dataclass(frozen=True)
class Upload:
    """The circumstances of one request.

    Attributes:
        user_agent: the browser's, for a batch that does not tell; empty for servers.
        is_historical: whether its batches are kept only, and not handed over.
    """

    workspace: Workspace
    channel: Channel
    received_at_ms: int
    user_agent: str = ""
    is_historical: bool = False


@dataclass(frozen=True)
class Attributed:
    """A batch, whose it is, and how it came."""

    batch: Batch
    mpid: int
    checked: Checked


class Intake:
    """Keeps what clients send.

    Args:
        resolve: who somebody is whom a batch names by identities.
        on_events: called when something was kept that may be delivered.
        new_id: a new random UUID as text, where a client gave no id.
    """

    def __init__(
        self,
        database: Database,
        *,
        resolve: Resolve,
        clock: Clock,
        on_events: Callable[[], None],
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._database = database
        self._resolve = resolve
        self._clock = clock
        self._on_events = on_events
        self._new_id = new_id

    def begin(
        self,
        workspace: Workspace,
        channel: Channel,
        *,
        user_agent: str = "",
        is_historical: bool = False,
    ) -> Upload:
        """One request, received now."""
        return Upload(workspace, channel, self._clock(), user_agent, is_historical)

    def attribute(self, upload: Upload, batch: Batch, checked: Checked) -> Attributed:
        """Find out whose batch it is: by its MPID, or else by its identities, as an identify would.

        An MPID is believed as it is: a remote identity service may have given it out.
        Raises: BadRequest, when it has neither or the identity service refuses. Unavailable.
            DatabaseBusy.
        """
        if batch.mpid is not None:
            return Attributed(batch, batch.mpid, checked)
        identities = known_identities(batch)
        if not identities:
            raise BadRequest("mpid: the batch has neither an MPID nor identities to find one by")
        name = batch.source_request_id
        if name is not None:
            with self._database.read() as connection:
                before = mpid_of_batch(connection, upload.workspace.id, name)
            if before is not None:
                return Attributed(batch, before, checked)
        mpid = self._resolve(upload.workspace, batch.environment, identities, name)
        return Attributed(batch, mpid, checked)

    def keep_whole(self, upload: Upload, attributed: Attributed) -> None:
        """Keep a batch, all of it or nothing. One that was kept before does nothing.

        Raises: BadRequest, when its person has no room for an attribute. Otherwise as `keep_sound`.
        """
        self._keep(upload, [attributed], (), refuses=True)

    def keep_sound(self, upload: Upload, looked_at: Sequence[Checked]) -> None:
        """Keep what is sound, and in quarantine what is not, or is about nobody. Refuses nothing.

        A batch that was kept before does nothing.
        Raises: Unavailable; DatabaseBusy. Unauthorized, when the workspace was removed meanwhile. Then
            nothing was kept.
        """
        batches, suspect = [], []
        for checked in looked_at:
            if checked.sound is None:
                suspect.append(checked)
                continue
            try:
                batches.append(self.attribute(upload, checked.sound, checked))
            except BadRequest as error:
                suspect.append(Checked(checked.body, None, (*checked.faults, *error.messages)))
        self._keep(upload, batches, suspect, refuses=False)

    def _keep(
        self,
        upload: Upload,
        batches: Sequence[Attributed],
        suspect: Sequence[Checked],
        *,
        refuses: bool,
    ) -> None:
        received = [self._received(upload, attributed) for attributed in batches]
        looked_at = [attributed.checked for attributed in batches]
        try:
            are_new = self._write(upload, received, looked_at, suspect, refuses=refuses)
        except Deadlock:  # with whoever writes about the same events or people, and is through now
            are_new = self._write(upload, received, looked_at, suspect, refuses=refuses)
        except IntegrityError:
            with self._database.read() as connection:
                if find_workspace(connection, upload.workspace.id) is not None:
                    raise
            raise Unauthorized("the API key is not known any more") from None
        if any(are_new) and not upload.is_historical:
            self._on_events()

    def _write(
        self,
        upload: Upload,
        received: Sequence[ReceivedBatch],
        looked_at: Sequence[Checked],
        suspect: Sequence[Checked],
        *,
        refuses: bool,
    ) -> list[bool]:
        workspace_id, are_new, faulty = upload.workspace.id, [], list(suspect)
        with self._database.write() as connection:
            for batch, checked in zip(received, looked_at, strict=True):
                kept = keep_batch(connection, workspace_id, batch)
                are_new.append(kept.is_new)
                faults = checked.faults
                if kept.refused_attributes:
                    faults = (*faults, _no_room_for(kept.refused_attributes))
                if faults and refuses:
                    raise BadRequest(*faults)
                if faults:
                    faulty.append(replace(checked, faults=faults))
            for checked in faulty:
                quarantine.keep(
                    connection, workspace_id, checked, upload.channel, upload.received_at_ms
                )
        return are_new

    def _received(self, upload: Upload, attributed: Attributed) -> ReceivedBatch:
        batch = attributed.batch
        events = sorted(
            (self._event(event, upload.received_at_ms) for event in batch.events),
            key=lambda event: event.happened_at_ms,
        )
        told_at_ms = _told_at_ms(upload, batch, events)
        name = batch.source_request_id or self._new_id()
        return ReceivedBatch(
            source_request_id=name,
            mpid=attributed.mpid,
            origin=_origin(upload, batch, name),
            events=events,
            identities=batch.identities(),
            attributes=_attribute_news(batch, events, told_at_ms),
            told_at_ms=told_at_ms,
            received_at_ms=upload.received_at_ms,
            is_historical=upload.is_historical,
        )

    def _event(self, event: SentEvent, received_at_ms: int) -> ReceivedEvent:
        event_type, data = normalised(event)
        happened_at_ms = event.data.timestamp_unixtime_ms
        return ReceivedEvent(
            event_type=event_type,
            name=name_of(event_type, data),
            data=data,
            source_message_id=event.data.source_message_id or self._new_id(),
            session_uuid=event.data.session_uuid,
            happened_at_ms=received_at_ms if happened_at_ms is None else happened_at_ms,
        )


def _no_room_for(attributes: Sequence[str]) -> str:
    named = ", ".join(f'"{name[:_MOST_SHOWN_CHARACTERS]}"' for name in attributes[:_MOST_NAMED])
    others = len(attributes) - _MOST_NAMED
    more = f" and {others} more" if others > 0 else ""
    return (
        f"user_attributes: there is no room for {named}{more}. A person has {MOST_ATTRIBUTES} "
        f"attributes at most, with {MOST_ATTRIBUTES_BYTES} bytes of names and values; those of before "
        "stay. Name some of them in deleted_user_attributes, and send these again"
    )


def _told_at_ms(upload: Upload, batch: Batch, events: Sequence[ReceivedEvent]) -> int:
    """When the client knew what the batch says of its person; never later than now."""
    if upload.is_historical and events:
        return events[-1].happened_at_ms
    sent_at_ms = batch.timestamp_unixtime_ms
    if upload.channel == "server_to_server" or sent_at_ms is None:
        return upload.received_at_ms
    return min(sent_at_ms, upload.received_at_ms)


def _attribute_news(
    batch: Batch, events: Sequence[ReceivedEvent], told_at_ms: int
) -> AttributeNews:
    known = batch.user_attributes
    return AttributeNews(
        changes=list(_attribute_changes(batch, events, told_at_ms)),
        told_by=batch.mp_deviceid,
        complete=None if known is None else frozenset(known),
        told_at_ms=told_at_ms,
    )


def _attribute_changes(
    batch: Batch, events: Sequence[ReceivedEvent], told_at_ms: int
) -> Iterator[AttributeChange]:
    """What the batch's events say of attributes one by one, and then the batch of all of them."""
    for event in events:
        name = event.data.get("user_attribute_name")
        if event.event_type == "user_attribute_change" and name is not None:
            at_ms = min(event.happened_at_ms, told_at_ms)
            is_deleted = event.data.get("deleted") is True
            yield AttributeChange(name, event.data.get("new"), is_deleted, at_ms)
    for name, value in (batch.user_attributes or {}).items():
        yield AttributeChange(name, value, is_deleted=False, at_ms=told_at_ms)
    for name in batch.deleted_user_attributes or ():
        yield AttributeChange(name, None, is_deleted=True, at_ms=told_at_ms)


def _origin(upload: Upload, batch: Batch, name: str) -> Origin:
    device_info = _told(batch.device_info)
    if upload.user_agent:
        device_info.setdefault("http_header_user_agent", upload.user_agent)
    consent = batch.consent_state
    passed_on = {
        "consent_state": {} if consent is None else _told(consent.model_dump(exclude_none=True)),
        "integration_attributes": _told(batch.integration_attributes),
    }
    return Origin(
        channel=upload.channel,
        environment=batch.environment,
        device_info=device_info,
        application_info=_told(batch.application_info),
        source_request_id=name,
        passed_on=_told(passed_on),
        context={} if batch.context is None else batch.context.model_dump(exclude_none=True),
        device_stamp=batch.mp_deviceid,
        location=batch.location,
    )


def _told(members: dict[str, Any] | None) -> dict[str, Any]:
    """Without what says nothing."""
    return {
        name: value for name, value in (members or {}).items() if value is not None and value != {}
    }
