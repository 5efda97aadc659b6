"""What a strategy does with somebody new, and at logout: decided on plain profiles."""

from typing import get_args

import pytest

from higgs_shop.identity_types import CUSTOMER_ID, DEFAULT_PRIORITY, EMAIL
from higgs_shop.idsync_service.profiles import Profile
from higgs_shop.idsync_service.resolver import Action, Resolution, choose
from higgs_shop.idsync_service.strategies import PROFILE_CONVERSION, STRATEGIES
from higgs_shop.workspaces import Workspace

WORKSPACE = Workspace(
    id="default",
    api_key="key",
    api_secret="secret",
    identity_strategy=PROFILE_CONVERSION.name,
    identity_priority=DEFAULT_PRIORITY,
    login_ids=PROFILE_CONVERSION.login_ids,
    unique_ids=PROFILE_CONVERSION.unique_ids,
    immutable_ids=(),
)
STAMP = {"device_application_stamp": "s-1"}
NEWCOMER = {"customerid": "C-9", **STAMP}


def profile(mpid: int, **identities: str) -> Profile:
    return Profile(mpid, 0, {name: {value} for name, value in identities.items()})


KNOWN = profile(1, customerid="C-1", **STAMP)
ANONYMOUS = profile(2, **STAMP)
ELSEWHERE = profile(3, other="a-handle")
ORPHAN = profile(4)


def resolve(
    action: Action, identities: dict[str, str], loaded: list[Profile], current: Profile | None
) -> Resolution:
    return choose(action, identities, WORKSPACE, loaded, current)


def test_every_strategy_is_found_by_its_name() -> None:
    assert STRATEGIES["profile_conversion"] is PROFILE_CONVERSION
    assert all(name == strategy.name for name, strategy in STRATEGIES.items())
    assert PROFILE_CONVERSION.login_ids == PROFILE_CONVERSION.unique_ids == (CUSTOMER_ID, EMAIL)


class TestSomebodyNew:
    """A login ID that nobody carries."""

    @pytest.mark.parametrize(
        ("loaded", "current", "expected", "rule"),
        [
            pytest.param(
                [ANONYMOUS], ANONYMOUS, ANONYMOUS, "anonymous_profile_converted", id="current"
            ),
            pytest.param(
                [ANONYMOUS], None, ANONYMOUS, "anonymous_profile_converted", id="found_by_device"
            ),
            pytest.param(
                [ANONYMOUS, ELSEWHERE],
                ELSEWHERE,
                ELSEWHERE,
                "anonymous_profile_converted",
                id="current_before_found",
            ),
            pytest.param([KNOWN, ANONYMOUS], KNOWN, None, "new_person_beside_known", id="known"),
            pytest.param([KNOWN], None, None, "new_person", id="nobody"),
            pytest.param([ORPHAN], ORPHAN, None, "new_person", id="orphan"),
        ],
    )
    def test_is_the_current_anonymous_profile_or_new(
        self,
        loaded: list[Profile],
        current: Profile | None,
        expected: Profile | None,
        rule: str,
    ) -> None:
        for action in ("identify", "login"):
            resolution = resolve(action, NEWCOMER, loaded, current)
            assert resolution.profile is expected
            assert resolution.steps[-1].rule == rule

    def test_is_whoever_another_identity_of_a_person_finds(self) -> None:
        asked = {"customerid": "C-9", "other": "a-handle", **STAMP}
        resolution = resolve("login", asked, [ANONYMOUS, ELSEWHERE], ANONYMOUS)
        assert resolution.profile is ELSEWHERE
        assert resolution.steps[-1].rule == "returned"


class TestLogout:
    """Where a logout leads."""

    @pytest.mark.parametrize("current", [None, KNOWN, ANONYMOUS])
    def test_is_always_a_new_profile(self, current: Profile | None) -> None:
        resolution = resolve("logout", STAMP, [KNOWN, ANONYMOUS], current)
        assert resolution.profile is None
        assert resolution.steps[-1].rule == "new_profile_at_logout"

    def test_goes_to_somebody_known_who_is_named(self) -> None:
        resolution = resolve("logout", {"customerid": "C-1", **STAMP}, [KNOWN, ANONYMOUS], None)
        assert resolution.profile is KNOWN


def test_without_a_login_id_nobody_is_converted() -> None:
    for action in get_args(Action)[:2]:
        assert resolve(action, STAMP, [KNOWN], KNOWN).profile is None
        assert resolve(action, STAMP, [KNOWN, ANONYMOUS], KNOWN).profile is ANONYMOUS
