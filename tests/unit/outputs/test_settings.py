"""Settings of an output: mParticle's defaults, what is refused and why, and which events are wanted."""

from typing import Any

import pytest
from pydantic import ValidationError

from higgs_shop.mistakes import mistakes_in
from higgs_shop.outputs import METADATA, OutputSettings
from higgs_shop.outputs.output import read_settings


def reasons(**given: Any) -> dict[str, str]:
    """What is wrong, by field."""
    with pytest.raises(ValidationError) as raised:
        OutputSettings(**given)
    return {each.field: each.reason for each in mistakes_in(OutputSettings, given, raised.value)}


def test_the_defaults_are_those_of_mparticle() -> None:
    assert OutputSettings().model_dump() == {
        "is_active": True,
        "url": "",
        "unique_id": "",
        "include_device_id": False,
        "send_as_batch": False,
        "wait_for_session": False,
        "send_custom_events": True,
        "send_screen_views": True,
        "send_commerce_events": True,
        "send_lifecycle_events": True,
        "send_crash_reports": True,
        "send_network_performance": True,
        "send_push_events": True,
        "send_user_attribute_changes": False,
        "send_user_identity_changes": False,
        "send_alias_requests": False,
        "send_batches_without_events": True,
        "include_metadata": True,
        "left_out_metadata": (),
        "include_location": True,
        "include_batch_location": False,
        "hash_email_addresses": False,
    }


@pytest.mark.parametrize(
    ("event_type", "switch"),
    [
        ("custom_event", "send_custom_events"),
        ("screen_view", "send_screen_views"),
        ("commerce_event", "send_commerce_events"),
        ("session_start", "send_lifecycle_events"),
        ("session_end", "send_lifecycle_events"),
        ("application_state_transition", "send_lifecycle_events"),
        ("crash_report", "send_crash_reports"),
        ("network_performance", "send_network_performance"),
        ("push_message", "send_push_events"),
        ("push_reaction", "send_push_events"),
        ("user_attribute_change", "send_user_attribute_changes"),
        ("user_identity_change", "send_user_identity_changes"),
    ],
)
def test_an_event_is_wanted_when_its_switch_is_on(event_type: str, switch: str) -> None:
    assert OutputSettings(**{switch: True}).wants(event_type)
    assert not OutputSettings(**{switch: False}).wants(event_type)
    assert not OutputSettings(**{switch: True, "is_active": False}).wants(event_type)


@pytest.mark.parametrize("event_type", ["opt_out", "breadcrumb", "profile", "first_run"])
def test_an_event_that_no_switch_is_about_is_wanted(event_type: str) -> None:
    switches = [name for name in OutputSettings.model_fields if name.startswith("send_")]
    assert OutputSettings(**dict.fromkeys(switches, False)).wants(event_type)


def test_only_an_active_output_gathers() -> None:
    assert not OutputSettings().gathers
    for switch in ("send_as_batch", "wait_for_session"):
        assert OutputSettings(**{switch: True}).gathers
        assert not OutputSettings(**{switch: True, "is_active": False}).gathers


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("url", "ftp://a.example", "use an http or https URL"),
        ("url", "https://me:secret@a.example", "credentials do not belong in a URL"),
        ("url", "https://a.example/#here", "a URL to send to has no fragment"),
        ("url", f"https://a.example/{'a' * 2_000}", "use an http or https URL"),
        ("unique_id", "two\nlines", "use up to 200 characters that can be printed"),
        ("unique_id", " padded ", "use up to 200 characters that can be printed"),
        ("unique_id", "u" * 201, "use up to 200 characters that can be printed"),
        (
            "left_out_metadata",
            "user_attributes",
            "no such metadata: user_attributes; use device_info",
        ),
        ("left_out_metadata", "device_info.", "no such metadata: device_info."),
        ("left_out_metadata", "x" * 500, "no such metadata: xxx"),
        ("send_as_batch", "perhaps", "use on or off"),
        ("send_pushs", True, "no such setting"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_allowed(field: str, value: Any, reason: str) -> None:
    found = reasons(**{field: value})
    assert set(found) == {field}
    assert found[field].startswith(reason)


def test_all_mistakes_are_named_at_once() -> None:
    assert set(reasons(url="nowhere", unique_id="\x00", is_active="maybe")) == {
        "url",
        "unique_id",
        "is_active",
    }


def test_metadata_to_leave_out_may_be_a_text_and_is_named_once() -> None:
    settings = OutputSettings(left_out_metadata="source_info, device_info.brand,source_info")
    assert settings.left_out_metadata == ("source_info", "device_info.brand")
    assert OutputSettings(left_out_metadata=METADATA).left_out_metadata == METADATA


def test_settings_survive_being_stored() -> None:
    settings = OutputSettings(
        url="https://a.example/hook?a=b",
        unique_id="Bosón ☕",
        send_as_batch=True,
        left_out_metadata=("device_info.brand",),
    )
    assert read_settings(settings.model_dump_json()) == settings
    assert read_settings("{}") == OutputSettings()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        OutputSettings().is_active = False  # type: ignore[misc]  # that it is refused is the point
