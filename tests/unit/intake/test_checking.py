"""What is wrong with a batch, member by member, and what of it is sound."""

from typing import Any

import pytest

from higgs_shop.intake.checking import Checked, check
from higgs_shop.intake.messages import MAX_EVENTS, Batch

EVENT = {"event_type": "screen_view", "data": {"screen_name": "Landing"}}


def looked_at(**members: Any) -> Checked:
    return check({"environment": "production", "mpid": 1, "events": [EVENT], **members}, b"")


def sound(**members: Any) -> Batch:
    checked = looked_at(**members)
    assert checked.faults == ()
    assert checked.sound is not None
    return checked.sound


def with_data(**data: Any) -> dict[str, Any]:
    return {"events": [{"event_type": "screen_view", "data": data}]}


@pytest.mark.parametrize(
    ("members", "fault"),
    [
        pytest.param({"environment": "test"}, "environment", id="environment"),
        pytest.param({"mpid": 0}, "mpid", id="mpid_zero"),
        pytest.param({"mpid": 2**63}, "mpid", id="mpid_65_bits"),
        pytest.param({"mpid": "x"}, "mpid", id="mpid_text"),
        pytest.param({"mpid": True}, "mpid", id="mpid_boolean"),
        pytest.param({"mpid": 1.5}, "mpid", id="mpid_fraction"),
        pytest.param({"events": {}}, "events", id="events_object"),
        pytest.param({"events": [EVENT] * (MAX_EVENTS + 1)}, "events", id="too_many_events"),
        pytest.param({"events": [None]}, "events.0", id="event_null"),
        pytest.param({"events": [{"event_type": ""}]}, "events.0.event_type", id="type_empty"),
        pytest.param({"events": [{"event_type": "dance"}]}, "events.0.event_type", id="type"),
        pytest.param(
            with_data(timestamp_unixtime_ms="yesterday"),
            "events.0.data.timestamp_unixtime_ms",
            id="time_text",
        ),
        pytest.param(
            with_data(timestamp_unixtime_ms=-1),
            "events.0.data.timestamp_unixtime_ms",
            id="time_negative",
        ),
        pytest.param(
            with_data(timestamp_unixtime_ms=2**62),
            "events.0.data.timestamp_unixtime_ms",
            id="time_after_9999",
        ),
        pytest.param(
            with_data(timestamp_unixtime_ms=True),
            "events.0.data.timestamp_unixtime_ms",
            id="time_boolean",
        ),
        pytest.param(
            with_data(source_message_id="x" * 257),
            "events.0.data.source_message_id",
            id="message_id",
        ),
        pytest.param(with_data(session_uuid=""), "events.0.data.session_uuid", id="session_empty"),
        pytest.param(
            with_data(custom_attributes={"a": [1]}),
            "events.0.data.custom_attributes.a",
            id="attribute_list",
        ),
        pytest.param(
            with_data(custom_attributes={"a": "x" * 4097}),
            "events.0.data.custom_attributes.a",
            id="attribute_long",
        ),
        pytest.param(
            with_data(custom_attributes={"x" * 257: 1}),
            f"events.0.data.custom_attributes.{'x' * 80}…",
            id="attribute_name",
        ),
        pytest.param(
            with_data(custom_attributes=dict.fromkeys(map(str, range(101)))),
            "events.0.data.custom_attributes",
            id="attributes",
        ),
        pytest.param({"user_attributes": {"a": {}}}, "user_attributes.a", id="user_attribute"),
        pytest.param({"user_attributes": {"a": [1] * 1001}}, "user_attributes.a", id="list_long"),
        pytest.param({"user_attributes": {"a": ["x" * 513]}}, "user_attributes.a", id="entry_long"),
        pytest.param({"user_attributes": {"a": [None]}}, "user_attributes.a", id="entry_null"),
        pytest.param({"user_identities": {"shoe": "9"}}, "user_identities", id="identity_type"),
        pytest.param(
            {"user_identities": {"email": ""}}, "user_identities.email", id="identity_empty"
        ),
        pytest.param(
            {"user_identities": {"email": "x" * 257}}, "user_identities.email", id="identity_long"
        ),
        pytest.param(
            {"user_identities": {"customerid": "1", "customer_id": "2"}},
            "user_identities",
            id="identity_twice",
        ),
        pytest.param(
            {"consent_state": {"gdpr": {"ads": {}}}},
            "consent_state.gdpr.ads.consented",
            id="consent",
        ),
        pytest.param({"source_request_id": "x" * 257}, "source_request_id", id="request_id"),
    ],
)
def test_faults_name_the_member(members: dict[str, Any], fault: str) -> None:
    checked = looked_at(**members)
    assert checked.sound is None
    assert [each.partition(":")[0] for each in checked.faults] == [fault]


def test_all_faults_are_named_at_once() -> None:
    checked = looked_at(mpid="x", environment=None, events=[{"event_type": "dance"}])
    assert [each.partition(":")[0] for each in checked.faults] == [
        "environment",
        "events.0.event_type",
        "mpid",
    ]


@pytest.mark.parametrize("members", [[], "x", 7, None, True])
def test_a_batch_is_an_object(members: Any) -> None:
    assert check(members, b"").faults == ("a batch is a JSON object",)


def test_the_other_events_stay_sound() -> None:
    checked = looked_at(events=[EVENT, {"event_type": "dance"}, EVENT, {}])
    assert checked.sound is not None
    assert len(checked.sound.events) == 2
    assert [each.partition(":")[0] for each in checked.faults] == [
        "events.1.event_type",
        "events.3.event_type",
    ]


def test_a_custom_event_has_a_name_and_a_type() -> None:
    for data in ({}, {"event_name": "", "custom_event_type": "other"}, {"event_name": "x"}):
        checked = looked_at(events=[{"event_type": "custom_event", "data": data}])
        assert checked.faults[0].startswith("events.0: a custom_event needs data.")


def test_official_clients_oddities_are_read() -> None:
    batch = sound(
        mpid="-9223372036854775808",
        timestamp_unixtime_ms="1772360105000",
        user_identities={"customerid": 1001, "other_id_3": "x", "alias": "old", "email": None},
        consent_state={"gdpr": {"ads": {"consented": True, "document": None}}, "ccpa": {}},
        batch_context={"data_plan": {"plan_id": 7}},
        user_attributes={"tag": None, "sizes": ["S", 2]},
        sideloaded_kits_count=0,
        partner_identities=None,
    )
    assert batch.mpid == -(2**63)
    assert batch.timestamp_unixtime_ms == 1_772_360_105_000
    assert batch.identities() == {"customerid": "1001", "other3": "x"}
    assert batch.context is not None
    assert batch.context.data_plan is not None
    assert batch.context.data_plan.plan_id == "7"


def test_null_stands_for_what_is_absent() -> None:
    nothing = dict.fromkeys(set(Batch.model_fields) - {"environment", "mpid"})
    assert sound(**nothing).events == []
    event = {"event_type": "session_start", "data": None}
    assert sound(events=[event]).events[0].data.members() == {}


def test_long_names_are_cut() -> None:
    (event,) = sound(**with_data(screen_name="x" * 300)).events
    assert event.data.screen_name == "x" * 256


def test_the_models_describe_themselves() -> None:
    """For whoever wants to read what may be sent."""
    schema = Batch.model_json_schema()
    assert schema["required"] == ["environment"]
    assert {"type": "integer", "format": "int64"} in schema["properties"]["mpid"]["anyOf"]
