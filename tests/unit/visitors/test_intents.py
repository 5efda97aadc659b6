"""When a call that failed is made again, and what becomes of one that is refused."""

import pytest

from higgs_shop.identity_client import (
    BadRequest,
    IdentityError,
    InvalidRequest,
    NoConnection,
    ProfileNotFound,
    RequestInProgress,
    ServiceFailed,
    TimedOut,
    TooManyRequests,
    Unauthorized,
    User,
)
from higgs_shop.visitors.intents import Action, wait_ms
from higgs_shop.visitors.owed_calls import _is_worth_a_second_try, _verdict

NOBODY = None
ANONYMOUS = User("4711", {}, is_logged_in=False, first_seen_ms=1, last_seen_ms=1)
KNOWN = User("4712", {"customerid": "C-1"}, is_logged_in=True, first_seen_ms=1, last_seen_ms=1)

REFUSED = BadRequest(400)


@pytest.mark.parametrize(
    ("attempts", "asked_seconds", "waited_ms"),
    [
        (1, None, 1_000),
        (2, None, 2_000),
        (5, None, 16_000),
        (6, None, 30_000),
        (10**6, None, 30_000),
        (1, 0.0, 1_000),
        (1, -3.0, 1_000),
        (1, 7.0, 7_000),
        (5, 7.0, 16_000),
        (1, 10.0**9, 300_000),
    ],
)
def test_waits_grow_and_have_an_end(
    attempts: int, asked_seconds: float | None, waited_ms: int
) -> None:
    assert wait_ms(attempts, asked_seconds) == waited_ms


@pytest.mark.parametrize(
    ("action", "current", "verdict"),
    [
        ("identify", NOBODY, "try_again"),
        ("identify", ANONYMOUS, "stay"),
        ("identify", KNOWN, "stay"),
        ("login", NOBODY, "be_nobody"),
        ("login", ANONYMOUS, "stay"),
        ("login", KNOWN, "be_nobody"),
        ("logout", NOBODY, "try_again"),
        ("logout", ANONYMOUS, "try_again"),
        ("logout", KNOWN, "try_again"),
        ("modify", NOBODY, "stay"),
        ("modify", KNOWN, "stay"),
    ],
)
@pytest.mark.parametrize("error", [REFUSED, InvalidRequest("no such type")], ids=["400", "invalid"])
def test_a_refused_call_gives_nobodys_events_to_somebody_else(
    action: Action, current: User | None, error: IdentityError, verdict: str
) -> None:
    assert _verdict(action, current, error) == verdict


@pytest.mark.parametrize("action", ["identify", "login", "logout", "modify"])
@pytest.mark.parametrize(
    "current", [NOBODY, ANONYMOUS, KNOWN], ids=["nobody", "anonymous", "known"]
)
@pytest.mark.parametrize(
    "error",
    [
        NoConnection("nobody listens"),
        TimedOut("too late"),
        RequestInProgress("another one"),
        Unauthorized(401),
        ServiceFailed(500),
    ],
    ids=lambda error: str(error.code),
)
def test_everything_else_is_tried_again(
    action: Action, current: User | None, error: IdentityError
) -> None:
    assert _verdict(action, current, error) == "try_again"


def test_a_profile_that_is_gone_cannot_be_modified() -> None:
    gone = ProfileNotFound(404)
    assert _verdict("modify", KNOWN, gone) == "stay"
    assert _verdict("login", KNOWN, gone) == "try_again"


@pytest.mark.parametrize(
    ("error", "is_harmless"),
    [
        (NoConnection("nobody listens"), True),
        (TimedOut("too late"), False),
        (REFUSED, False),
        *[(ServiceFailed(status), status != 500) for status in (500, 502, 503, 504)],
    ],
)
def test_only_what_cannot_have_happened_is_tried_at_once(
    error: IdentityError, is_harmless: bool
) -> None:
    assert _is_worth_a_second_try(error) is is_harmless


def test_being_told_to_wait_is_not_a_refusal() -> None:
    told = TooManyRequests(429, retry_after_seconds=7)
    assert _verdict("login", KNOWN, told) == "try_again"
