"""Where a person's events are cut into bodies, whatever they and their person look like."""

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from higgs_shop.outputs import OutputSettings
from higgs_shop.tracker.attributed import AttributedEvent, draft_of
from higgs_shop.tracker.batch import Origin, Person
from higgs_shop.tracker.json_text import compact_json
from higgs_shop.tracker.splitting import MOST_BATCH_BYTES, MOST_IN_BATCH, split_into_batches

PAGE = Origin("javascript", "production", {"platform": "web"}, {}, source_request_id="r")


def an_event(
    number: int, length: int, *, attributes: int = 0, request: str = "r"
) -> AttributedEvent:
    return AttributedEvent(
        id=number,
        person=Person(4711, [], {"note": "ü" * attributes}),
        event_type="custom_event",
        data=compact_json({"event_name": "x" * length}),
        happened_at_ms=number,
        received_at_ms=number,
        session_uuid="s",
        session_sequence=10_000 + number,
        origin=replace(PAGE, source_request_id=request),
    )


@given(
    st.lists(
        st.tuples(st.integers(0, 60_000), st.sampled_from([0, 20_000]), st.sampled_from("ab")),
        max_size=40,
    )
)
def test_a_body_of_several_is_never_too_long_and_nothing_is_lost(
    given_events: list[tuple[int, int, str]],
) -> None:
    events = [
        an_event(number, length, attributes=attributes, request=request)
        for number, (length, attributes, request) in enumerate(given_events)
    ]
    settings = OutputSettings()
    batches = list(split_into_batches(events, settings))

    assert [event for batch in batches for event in batch] == events
    for batch in batches:
        body = draft_of(batch, settings).make_body(2**31 - 1, f"msg_{'0' * 32}")
        assert len(json.loads(body)["events"]) == len(batch) <= MOST_IN_BATCH
        assert len(batch) == 1 or len(body) <= MOST_BATCH_BYTES


def test_short_events_are_a_hundred_in_a_body() -> None:
    events = [an_event(number, 10) for number in range(250)]
    assert [len(each) for each in split_into_batches(events, OutputSettings())] == [100, 100, 50]
    assert list(split_into_batches([], OutputSettings())) == []
