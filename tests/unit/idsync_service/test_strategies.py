"""What a strategy does with somebody new, and at logout: decided on plain profiles."""

import dataclasses
from pathlib import Path
from typing import get_args

import pytest

from higgs_shop.identity_types import CUSTOMER_ID, DEFAULT_IDS, DEFAULT_PRIORITY, EMAIL
from higgs_shop.idsync_service.policies import (
    Policy,
    convert_anonymous_profile,
    create_linked_profile,
    create_profile,
    return_to_anonymous_profile,
)
from higgs_shop.idsync_service.profiles import Profile
from higgs_shop.idsync_service.resolution import Action, Resolution, choose
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
    return Profile(mpid, 0, {name: {value: 0} for name, value in identities.items()})


KNOWN = profile(1, customerid="C-1", **STAMP)
ANONYMOUS = profile(2, **STAMP)
ELSEWHERE = profile(3, other="a-handle")
ORPHAN = profile(4)


def resolve(
    action: Action, identities: dict[str, str], loaded: list[Profile], current: Profile | None
) -> Resolution:
    return choose(action, identities, WORKSPACE, loaded, current)


BOTH = (CUSTOMER_ID, EMAIL)


@pytest.mark.parametrize(
    ("strategy", "ids", "on_new_known_user", "on_logout", "has_alias"),
    [
        ("default", (CUSTOMER_ID,), convert_anonymous_profile, create_profile, True),
        ("profile_conversion", BOTH, convert_anonymous_profile, create_profile, True),
        ("profile_link", BOTH, create_linked_profile, create_profile, True),
        ("profile_isolation", BOTH, create_profile, return_to_anonymous_profile, False),
        ("best_match", (), None, None, False),
    ],
)
def test_the_documented_table(
    strategy: str,
    ids: tuple[str, ...],
    on_new_known_user: Policy | None,
    on_logout: Policy | None,
    has_alias: bool,
) -> None:
    found = STRATEGIES[strategy]
    assert found.name == strategy
    assert found.unique_ids == found.login_ids == ids
    assert found.has_alias is has_alias
    assert found.has_login is (on_logout is not None)
    if found.has_login:
        assert found.on_new_known_user is on_new_known_user
        assert found.on_logout is on_logout


def test_the_page_about_them_names_their_ids() -> None:
    page = (Path(__file__).parents[3] / "docs" / "identity.md").read_text("utf-8")
    for strategy in STRATEGIES.values():
        ids = ", ".join(f"`{name}`" for name in strategy.login_ids) or "none"
        assert f"| `{strategy.name}` | {ids} |" in page


def test_there_are_five() -> None:
    assert list(STRATEGIES) == list(DEFAULT_IDS)
    assert len(STRATEGIES) == 5


class TestLink:
    """profile_link: a new person is a new profile, whose source is the anonymous one."""

    WORKSPACE = dataclasses.replace(WORKSPACE, identity_strategy="profile_link")

    @pytest.mark.parametrize(
        ("loaded", "current", "source", "rule"),
        [
            pytest.param([ANONYMOUS], ANONYMOUS, ANONYMOUS, "new_profile_linked", id="current"),
            pytest.param([ANONYMOUS], None, ANONYMOUS, "new_profile_linked", id="found_by_device"),
            pytest.param([KNOWN], KNOWN, None, "new_person_beside_known", id="known"),
            pytest.param([KNOWN], None, None, "new_person", id="nobody"),
            pytest.param([ORPHAN], ORPHAN, None, "new_person", id="orphan"),
        ],
    )
    def test_links(
        self,
        loaded: list[Profile],
        current: Profile | None,
        source: Profile | None,
        rule: str,
    ) -> None:
        resolution = choose("login", NEWCOMER, self.WORKSPACE, loaded, current)
        assert resolution.profile is None
        assert resolution.source is source
        assert resolution.steps[-1].rule == rule


class TestIsolation:
    """profile_isolation: people and the anonymous never mix, and a device has one anonymous profile."""

    WORKSPACE = dataclasses.replace(WORKSPACE, identity_strategy="profile_isolation")

    def test_a_new_person_is_new(self) -> None:
        resolution = choose("login", NEWCOMER, self.WORKSPACE, [ANONYMOUS], ANONYMOUS)
        assert (resolution.profile, resolution.source) == (None, None)
        assert "nothing carries over" in resolution.steps[-1].text

    def test_a_logout_goes_back(self) -> None:
        resolution = choose("logout", STAMP, self.WORKSPACE, [KNOWN, ANONYMOUS], KNOWN)
        assert resolution.profile is ANONYMOUS
        assert resolution.steps[-1].rule == "returned_at_logout"

    def test_a_logout_makes_a_profile_where_there_is_none(self) -> None:
        resolution = choose("logout", STAMP, self.WORKSPACE, [KNOWN], KNOWN)
        assert resolution.profile is None
        assert resolution.steps[-1].rule == "new_profile_at_logout"


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
