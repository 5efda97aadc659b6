"""Requests that can only be right, and answers that are read strictly."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from higgs_shop.identity_client import (
    ChangeResult,
    IdentityChange,
    IdentityRequest,
    InvalidRequest,
    NotUnderstood,
    User,
)
from higgs_shop.identity_client.messages import read_answer, read_errors, read_retry_after

JSON = "application/json"
ADA = User(
    "4711",
    {"customerid": "C-1001", "email": "ada@example.test"},
    is_logged_in=True,
    first_seen_ms=1,
    last_seen_ms=1,
)


def test_a_request_from_a_user_is_a_copy() -> None:
    request = IdentityRequest.of(ADA).with_identity("email", "countess@example.test")
    assert request.identities == {"customerid": "C-1001", "email": "countess@example.test"}
    assert ADA.identities["email"] == "ada@example.test"


def test_null_takes_an_identity_away() -> None:
    request = IdentityRequest.of(ADA).with_identity("email", None)
    assert request.identities == {"customerid": "C-1001"}
    assert request.removed == {"email"}
    assert request.with_identity("email", "back@example.test").removed == frozenset()


@pytest.mark.parametrize("identity_type", ["shoe_size", "", "customer_id", "Email"])
def test_an_unknown_type_is_named(identity_type: str) -> None:
    with pytest.raises(InvalidRequest, match=f"unknown identity type: '{identity_type}'"):
        IdentityRequest.empty().with_identity(identity_type, "9")


def test_the_device_stamp_is_not_the_caller_s_to_give() -> None:
    with pytest.raises(InvalidRequest, match="device_application_stamp"):
        IdentityRequest.empty().with_identity("device_application_stamp", "S1")


@pytest.mark.parametrize("value", ["", "  ", "\t", 7, True, b"ada", ["ada"], "\ud800"])
def test_a_value_that_is_no_text_is_refused_with_its_type(value: Any) -> None:
    with pytest.raises(InvalidRequest, match="email") as caught:
        IdentityRequest.empty().with_identity("email", value)
    assert isinstance(caught.value, ValueError)


def test_changes_are_what_is_not_known_yet() -> None:
    request = (
        IdentityRequest.of(ADA)
        .with_identity("email", "countess@example.test")
        .with_identity("mobile_number", "+44 1815 1210")
        .with_identity("customerid", None)
        .with_identity("facebook", None)
    )
    assert request.changes_from(ADA.identities) == (
        IdentityChange("email", "ada@example.test", "countess@example.test"),
        IdentityChange("mobile_number", None, "+44 1815 1210"),
        IdentityChange("customerid", "C-1001", None),
    )


def test_types_that_a_request_does_not_name_stay() -> None:
    request = IdentityRequest.empty().with_identity("email", "ada@example.test")
    assert request.changes_from(ADA.identities) == ()


def test_a_full_answer_is_read() -> None:
    answer = read_answer(
        b'{"context":"note","mpid":"-4711","matched_identities":{"email":"ada@example.test"},'
        b'"is_ephemeral":true,"is_logged_in":true,"change_results":'
        b'[{"identity_type":"email","modified_mpid":"-4711"}],"unknown":{"member":[1]}}',
        "Application/JSON; charset=utf-8",
    )
    assert answer.mpid == "-4711"
    assert answer.is_logged_in is True
    assert answer.context == "note"
    assert answer.matched_identities == {"email": "ada@example.test"}
    assert answer.is_ephemeral is True
    assert answer.change_results == (ChangeResult("email", "-4711"),)


@pytest.mark.parametrize(
    "body", [b"{}", b'{"mpid":null,"context":null,"is_logged_in":null,"change_results":null}']
)
def test_what_is_missing_or_null_has_its_default(body: bytes) -> None:
    answer = read_answer(body, JSON)
    assert (answer.mpid, answer.is_logged_in, answer.context) == (None, None, None)
    assert (answer.matched_identities, answer.is_ephemeral) == ({}, False)
    assert answer.change_results == ()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<html>", id="not JSON"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'"4711"', id="a string"),
        pytest.param(b'{"mpid":4711}', id="mpid as a number"),
        pytest.param(b'{"mpid":"0"}', id="mpid 0"),
        pytest.param(b'{"mpid":"9223372036854775808"}', id="mpid beyond 64 bits"),
        pytest.param(b'{"mpid":"../search"}', id="mpid as a path"),
        pytest.param(b'{"mpid":"1","mpid":"2"}', id="a member twice"),
        pytest.param(b'{"mpid":"1","score":NaN}', id="NaN"),
        pytest.param(b'{"mpid":"1","is_logged_in":"yes"}', id="text for a flag"),
        pytest.param(b'{"mpid":"1","is_ephemeral":1}', id="number for a flag"),
        pytest.param(b'{"mpid":"1","context":{}}', id="context as an object"),
        pytest.param(b'{"mpid":"1","matched_identities":[]}', id="matches as a list"),
        pytest.param(b'{"mpid":"1","matched_identities":{"email":7}}', id="match as a number"),
        pytest.param(b'{"mpid":"1","change_results":{}}', id="results as an object"),
        pytest.param(b'{"mpid":"1","change_results":[7]}', id="result as a number"),
        pytest.param(b'{"mpid":"1","change_results":[{}]}', id="result without members"),
        pytest.param(b'{"a":' * 100 + b"1" + b"}" * 100, id="deep"),
        pytest.param(b"[" * 200_000, id="very deep"),
        pytest.param(b'{"mpid":"1"}'.decode().encode("utf-16"), id="UTF-16"),
        pytest.param(b'{"mpid":"1","context":"\\ud800"}', id="half a surrogate pair"),
    ],
)
def test_an_undocumented_shape_is_not_understood(body: bytes) -> None:
    with pytest.raises(NotUnderstood):
        read_answer(body, JSON)


@pytest.mark.parametrize("content_type", [None, "", "text/html", "text/plain", "application/jsonp"])
def test_an_answer_that_does_not_say_json_is_not_understood(content_type: str | None) -> None:
    with pytest.raises(NotUnderstood, match="does not say that it is JSON"):
        read_answer(b'{"mpid":"1"}', content_type)


_ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
_ALMOST_AN_ANSWER = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("mpid", "context", "is_logged_in", "matched_identities", "change_results"), _ANY_JSON
    ),
).map(lambda members: json.dumps(members).encode())


@settings(deadline=None)
@given(body=st.binary() | _ALMOST_AN_ANSWER, content_type=st.none() | st.text() | st.just(JSON))
def test_no_answer_raises_anything_else(body: bytes, content_type: str | None) -> None:
    with contextlib.suppress(NotUnderstood):
        read_answer(body, content_type)
    read_errors(body)


def test_errors_are_read_as_documented() -> None:
    body = b'{"errors":[{"code":"BAD_REQUEST","message":"no identities"},{"code":7},"junk"]}'
    assert read_errors(body) == (("BAD_REQUEST", "no identities"), ("7", ""))


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"errors":"no"}', b"\xff"])
def test_errors_in_another_shape_are_none(body: bytes) -> None:
    assert read_errors(body) == ()


def test_errors_are_kept_short() -> None:
    entry = {"code": "C" * 10_000, "message": "m" * 10_000}
    errors = read_errors(json.dumps({"errors": [entry] * 1_000}).encode())
    assert len(errors) == 10
    assert {len(text) for error in errors for text in error} == {500}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("0", 0),
        ("120", 120),
        ("1000000000", 1_000_000_000),
        ("Sun, 01 Mar 2026 10:15:30 GMT", 30),
        ("Sun, 01 Mar 2026 10:15:30 -0000", 30),
        ("Sun, 01 Mar 2026 10:14:00 GMT", 0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("\u0663", None),
        ("9" * 5_000, None),
        ("Sun, 99 Mar 2026 10:15:30 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_or_unknown(
    header: str | None, expected: int | None
) -> None:
    assert read_retry_after(header, now_ms=1_772_360_100_000) == expected


@settings(deadline=None)
@given(header=st.text())
def test_retry_after_may_be_anything(header: str) -> None:
    seconds = read_retry_after(header, now_ms=1_772_360_100_000)
    assert seconds is None or seconds >= 0
