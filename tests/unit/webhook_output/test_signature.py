"""Signatures against the `standardwebhooks` library, and against whatever strangers send."""

import base64
import json
import random
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from higgs_shop.clock import system_clock
from higgs_shop.webhook_output import BadSecret, sign, verify
from tests.reliability.faults.signatures import random_body, random_secret

# The specification's own example.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
WEBHOOK_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
TIMESTAMP_SECONDS = 1_614_265_330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

NEW_SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
NOW_MS = TIMESTAMP_SECONDS * 1_000
HEADERS = {
    "webhook-id": WEBHOOK_ID,
    "webhook-timestamp": str(TIMESTAMP_SECONDS),
    "webhook-signature": SIGNATURE,
}


def signature(*secrets: str, body: bytes = BODY) -> str:
    return sign(secrets, webhook_id=WEBHOOK_ID, timestamp_seconds=TIMESTAMP_SECONDS, body=body)


def test_the_example_of_the_specification() -> None:
    assert signature(SECRET) == SIGNATURE
    assert verify([SECRET], HEADERS, BODY, NOW_MS).ok


def test_the_library_verifies_random_bodies_byte_for_byte(dice: random.Random) -> None:
    now_seconds = system_clock() // 1_000
    for number in range(50):
        secret = random_secret(dice)
        body = random_body(dice, characters=20_000 if number == 0 else dice.randint(0, 200))
        headers = {"webhook-id": f"msg_{number}", "webhook-timestamp": str(now_seconds)}
        headers["webhook-signature"] = sign(
            [SECRET, secret],
            webhook_id=headers["webhook-id"],
            timestamp_seconds=now_seconds,
            body=body,
        )

        assert Webhook(secret).verify(body, headers) == json.loads(body)
        assert verify([secret], headers, body, now_seconds * 1_000).ok
        assert not verify([secret], headers, body + b" ", now_seconds * 1_000).ok


def test_what_the_library_signs_is_valid_here() -> None:
    at = datetime.fromtimestamp(TIMESTAMP_SECONDS, UTC)
    body = '{"name":"Ünïcode ☕"}'
    headers = HEADERS | {"webhook-signature": Webhook(SECRET).sign(WEBHOOK_ID, at, body)}

    assert verify([SECRET], headers, body.encode(), NOW_MS).ok


def test_two_secrets_sign_side_by_side_so_that_a_receiver_can_change_over() -> None:
    both = signature(SECRET, NEW_SECRET)

    assert both == f"{signature(SECRET)} {signature(NEW_SECRET)}"
    for receiver in ([SECRET], [NEW_SECRET], [NEW_SECRET, SECRET]):
        assert verify(receiver, HEADERS | {"webhook-signature": both}, BODY, NOW_MS).ok


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param("", id="empty"),
        pytest.param("whsec_", id="nothing behind the prefix"),
        pytest.param(SECRET.removeprefix("whsec_"), id="no prefix"),
        pytest.param("whsec_not base64!", id="not base64"),
        pytest.param("whsec_ÿÿÿÿ", id="not ASCII"),
        pytest.param("whsec_" + base64.b64encode(bytes(23)).decode(), id="23 bytes"),
        pytest.param("whsec_" + base64.b64encode(bytes(65)).decode(), id="65 bytes"),
    ],
)
def test_a_bad_secret_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(BadSecret) as caught:
        signature(secret)

    assert len(secret) <= len("whsec_") or secret not in str(caught.value)


def test_nothing_is_signed_with_no_secret() -> None:
    with pytest.raises(BadSecret, match="at least one"):
        signature()


@pytest.mark.parametrize(
    ("changed", "state", "reason"),
    [
        pytest.param(
            {"webhook-signature": ""},
            "missing",
            "Not signed: webhook-signature is missing.",
            id="no signature",
        ),
        pytest.param(
            {"webhook-id": "", "webhook-timestamp": "", "webhook-signature": ""},
            "missing",
            "Not signed: webhook-id and webhook-timestamp and webhook-signature are missing.",
            id="no header at all",
        ),
        pytest.param(
            {"webhook-id": ""}, "invalid", "Signed, but webhook-id is missing.", id="no id"
        ),
        pytest.param(
            {"webhook-timestamp": "1614265030"}, "invalid", "No signature fits", id="another time"
        ),
        pytest.param(
            {"webhook-timestamp": "1614265029"},
            "invalid",
            "too old: 301 seconds from this server's time, and 300 are allowed",
            id="too old",
        ),
        pytest.param(
            {"webhook-timestamp": "1614265631"}, "invalid", "too far in the future", id="too new"
        ),
        pytest.param(
            {"webhook-timestamp": "1614265330.0"}, "invalid", "whole seconds", id="a fraction"
        ),
        pytest.param({"webhook-timestamp": "-1"}, "invalid", "whole seconds", id="negative"),
        pytest.param({"webhook-timestamp": "NaN"}, "invalid", "whole seconds", id="not a number"),
        pytest.param({"webhook-timestamp": "१२३"}, "invalid", "whole seconds", id="other digits"),
        pytest.param(
            {"webhook-timestamp": "9" * 5_000}, "invalid", "whole seconds", id="endless digits"
        ),
        pytest.param({"webhook-id": "msg_other"}, "invalid", "No signature fits", id="another id"),
        pytest.param(
            {"webhook-signature": "v1,AAAA v1, v1,ÿ"}, "invalid", "No signature fits", id="junk"
        ),
        pytest.param(
            {"webhook-signature": "v1,\udc80"}, "invalid", "No signature fits", id="a surrogate"
        ),
        pytest.param(
            {"webhook-signature": SIGNATURE.removeprefix("v1,")},
            "invalid",
            "no signature of the kind v1",
            id="no version",
        ),
        pytest.param(
            {"webhook-signature": "v1a," + SIGNATURE.removeprefix("v1,")},
            "invalid",
            "no signature of the kind v1",
            id="another version",
        ),
    ],
)
def test_what_does_not_hold_is_said_in_plain_words(
    changed: dict[str, str], state: str, reason: str
) -> None:
    verdict = verify([SECRET], HEADERS | changed, BODY, NOW_MS)

    assert (verdict.state, verdict.ok) == (state, False)
    assert reason in verdict.reason


def test_headers_are_found_in_any_case_and_the_fitting_signature_among_others() -> None:
    headers = {name.title(): value for name, value in HEADERS.items()}
    headers["Webhook-Signature"] = f"v1a,xyz v1,AAAA {SIGNATURE}"

    assert verify([SECRET], headers, BODY, NOW_MS + 299_000).ok


def test_another_secret_does_not_verify() -> None:
    assert not verify([NEW_SECRET], HEADERS, BODY, NOW_MS).ok
