"""The three authentications, by the worked examples of the wire contract (section 12)."""

import json

import httpx
import pytest

from higgs_shop.clock import Clock
from higgs_shop.identity_client import Basic, Hmac, KeyOnly

KEY, SECRET = "shop-key-0001", "shop-secret-0001"
SIGNED_AT_MS = 1_772_360_100_999  # 2026-03-01T10:15:00.999Z

IDENTIFY = (
    '{"client_sdk":{"platform":"web","sdk_vendor":"higgs","sdk_version":"1.0.0"},'
    '"environment":"development","request_id":"0b7f3d64-1f0a-4c2a-9d55-2f3c8a5f1e10",'
    '"request_timestamp_ms":1772360100000,'
    '"known_identities":{"customerid":"C-1001","email":"ada@example.test"}}'
)
MODIFY = (
    '{"client_sdk":{"platform":"web","sdk_vendor":"higgs","sdk_version":"1.0.0"},'
    '"environment":"development","request_id":"5d1d0a55-60f1-4a0e-8c0e-7f1f3d0c2b11",'
    '"request_timestamp_ms":1772360160000,"identity_changes":'
    '[{"old_value":"ada@example.test","new_value":null,"identity_type":"email"}]}'
)
SEARCH = '{"environment":"development","known_identities":{"other":"Zoë"}}'


def at(time_ms: int) -> Clock:
    return lambda: time_ms


def sent_with(auth: httpx.Auth, path: str = "/v1/identify", body: str = "{}") -> httpx.Request:
    """The request as it leaves, through the machinery that real calls use."""
    seen: list[httpx.Request] = []

    def note(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    with httpx.Client(transport=httpx.MockTransport(note)) as client:
        client.post(f"https://identity.example{path}", content=body.encode(), auth=auth)
    return seen[0]


def test_basic_sends_key_and_secret() -> None:
    request = sent_with(Basic(KEY, SECRET))
    assert request.headers["Authorization"] == ("Basic c2hvcC1rZXktMDAwMTpzaG9wLXNlY3JldC0wMDAx")


def test_key_only_sends_the_key_and_nothing_else() -> None:
    request = sent_with(KeyOnly(KEY))
    assert request.headers["x-mp-key"] == KEY
    assert "Authorization" not in request.headers
    assert "x-mp-signature" not in request.headers


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        pytest.param(
            "/idsync/v1/identify",
            IDENTIFY,
            "8ea454836679d07d6191933851ffe87c6ce054779e9262bfd6382119c110768d",
            id="12.2 mounted",
        ),
        pytest.param(
            "/v1/identify",
            IDENTIFY,
            "c6c5cee3b7ccada584c5c1107ba04fca13f68ef5158c55e740b43ed7970aaffb",
            id="12.2 upstream",
        ),
        pytest.param(
            "/idsync/v1/4711471147114711/modify",
            MODIFY,
            "6b39fe74ae8ed03c9e4ec35aba56eac73732561c3434a669653c1ac28170386c",
            id="12.3",
        ),
        pytest.param(
            "/idsync/v1/search",
            SEARCH,
            "5ae6fc9fe080a0bbb3e7faaea3dbc7b1b0eccbcdd9fccad49169738ca5226eb7",
            id="12.4 not ASCII",
        ),
        pytest.param(
            "/idsync/v1/search?cb=1",
            SEARCH,
            "5ae6fc9fe080a0bbb3e7faaea3dbc7b1b0eccbcdd9fccad49169738ca5226eb7",
            id="the query is not signed",
        ),
    ],
)
def test_hmac_signs_as_documented(path: str, body: str, expected: str) -> None:
    request = sent_with(Hmac(KEY, SECRET, at(SIGNED_AT_MS)), path, body)
    assert request.headers["Date"] == "20260301T101500Z"
    assert request.headers["x-mp-key"] == KEY
    assert request.headers["x-mp-signature"] == expected


def test_the_secret_is_neither_sent_signed_nor_shown() -> None:
    auth = Hmac(KEY, SECRET, at(SIGNED_AT_MS))
    assert SECRET not in json.dumps(dict(sent_with(auth).headers))
    assert SECRET not in repr(auth) + repr(Basic(KEY, SECRET))


@pytest.mark.parametrize("bad", ["", " key", "ké", "two\r\nlines", "nul\x00"])
def test_a_key_that_cannot_be_sent_is_refused_at_once(bad: str) -> None:
    for make in (
        lambda: KeyOnly(bad),
        lambda: Basic(bad, SECRET),
        lambda: Basic(KEY, bad),
        lambda: Hmac(bad, SECRET, at(0)),
        lambda: Hmac(KEY, bad, at(0)),
    ):
        with pytest.raises(ValueError, match="printable ASCII"):
            make()


def test_a_colon_would_end_the_key_of_basic() -> None:
    with pytest.raises(ValueError, match="colon"):
        Basic("shop:key", SECRET)
