"""What an output is set to, by mParticle's names: where it posts, which events, and what of them.

Source: mParticle's webhook output documentation, "Connection Settings"; `hash_email_addresses` is ours.
"""

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from higgs_shop.mistakes import explained
from higgs_shop.setting_values import Refused, endpoint_url, one_line, split_at_commas

METADATA: Final = ("device_info", "application_info", "source_info")
"""The members of a body that are metadata. One of their own members is named behind a dot."""

_SWITCH: Final[Mapping[str, str]] = {
    "custom_event": "send_custom_events",
    "screen_view": "send_screen_views",
    "commerce_event": "send_commerce_events",
    "session_start": "send_lifecycle_events",
    "session_end": "send_lifecycle_events",
    "application_state_transition": "send_lifecycle_events",
    "crash_report": "send_crash_reports",
    "network_performance": "send_network_performance",
    "push_message": "send_push_events",
    "push_reaction": "send_push_events",
    "user_attribute_change": "send_user_attribute_changes",
    "user_identity_change": "send_user_identity_changes",
}


def _metadata_names(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        member, dot, inner = name.partition(".")
        if member not in METADATA or (dot and not inner):
            raise Refused(
                f"no such metadata: {one_line(name)}; use {', '.join(METADATA)}, or one of their "
                "members, as device_info.http_header_user_agent"
            )
    return tuple(dict.fromkeys(names))


def _printable(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError
    return text


def _switch(default: bool, meaning: str) -> bool:
    value: bool = explained(meaning, allowed="on or off", default=default)
    return value


class OutputSettings(BaseModel):
    """Every setting of an output but its name and its secrets; it cannot be changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    is_active: bool = _switch(True, "takes events; what happens while it does not is never sent")
    url: Annotated[
        str,
        AfterValidator(endpoint_url),
        explained(
            "where it posts; empty: this server's own inbox",
            allowed="an http or https URL",
            max_length=2_000,
        ),
    ] = ""
    unique_id: Annotated[
        str,
        AfterValidator(_printable),
        explained(
            "sent with each body as `unique_id`; empty: not sent",
            allowed="up to 200 characters that can be printed",
            max_length=200,
        ),
    ] = ""
    include_device_id: bool = _switch(False, "tells the device's id as `mp_deviceid`")
    send_as_batch: bool = _switch(False, "posts what belongs together at once, not one by one")
    wait_for_session: bool = _switch(False, "keeps a session's events until the session is over")
    send_custom_events: bool = _switch(True, "what a shop or an app names for itself")
    send_screen_views: bool = _switch(True, "pages and screens that were looked at")
    send_commerce_events: bool = _switch(True, "products that were seen, put into a cart, bought")
    send_lifecycle_events: bool = _switch(
        True, "session starts and ends, and what an app does in between"
    )
    send_crash_reports: bool = _switch(True, "crashes that an app reported")
    send_network_performance: bool = _switch(True, "requests that an app took the time of")
    send_push_events: bool = _switch(True, "push messages, and reactions to them")
    send_user_attribute_changes: bool = _switch(
        False, "attributes of a person that were set, changed or removed"
    )
    send_user_identity_changes: bool = _switch(
        False, "identities that a person gained, changed or lost"
    )
    send_alias_requests: bool = _switch(
        False, "that what one profile did was carried over to another"
    )
    send_batches_without_events: bool = _switch(
        True, "batches that hold a person's attributes or identities, and no event"
    )
    include_metadata: bool = _switch(True, f"tells `{'`, `'.join(METADATA)}`")
    left_out_metadata: Annotated[
        tuple[str, ...],
        BeforeValidator(split_at_commas),
        AfterValidator(_metadata_names),
        explained(
            "what of the metadata to leave out: names separated by commas, as `device_info` or a member of it",
            allowed=f"names separated by commas, of {', '.join(METADATA)} and their members",
            max_length=50,
        ),
    ] = Field(default=())
    include_location: bool = _switch(True, "tells an event's own `location`")
    include_batch_location: bool = _switch(False, "tells the `location` of an event's batch")
    hash_email_addresses: bool = _switch(
        False, "tells the SHA-256 of a person's e-mail address in its place"
    )

    @property
    def gathers(self) -> bool:
        """Whether events wait for others before they become messages."""
        return self.is_active and (self.send_as_batch or self.wait_for_session)

    def wants(self, event_type: str) -> bool:
        """Whether events of this type are sent; those that no switch is about are."""
        switch = _SWITCH.get(event_type)
        return self.is_active and (switch is None or getattr(self, switch))
