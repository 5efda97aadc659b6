"""The identity strategies: the documentation's table, a value for each row.

| Strategy | Unique and login IDs | A login ID never seen before | Logout | Alias |
| --- | --- | --- | --- | --- |
| default | customerid | added to the anonymous profile | new profile | yes |
| profile_conversion | configurable | added to the anonymous profile | new profile | yes |
| profile_link | customerid, email | a new profile, linked to the anonymous one | new profile | yes |
| profile_isolation | customerid, email | a new profile | back to the anonymous profile | no |
| best_match | none | has none | has none | no |
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from higgs_shop.identity_types import DEFAULT_IDS
from higgs_shop.idsync_service.policies import (
    Policy,
    convert_anonymous_profile,
    create_linked_profile,
    create_profile,
    return_to_anonymous_profile,
)


@dataclass(frozen=True, slots=True)
class Strategy:
    """What to do with a new login ID, and at logout.

    Attributes:
        unique_ids, login_ids: the defaults; a workspace has its own.
        on_new_known_user: asked when a login ID is given that finds nobody.
        on_logout: asked when a logout does not name somebody known.
        has_login: whether login and logout are offered; without them there are no login IDs either.
        has_alias: whether events may be carried from one profile over to another.
        documented_at: the page that describes the strategy.
    """

    name: str
    unique_ids: tuple[str, ...]
    login_ids: tuple[str, ...]
    on_new_known_user: Policy
    on_logout: Policy
    documented_at: str
    has_login: bool = True
    has_alias: bool = True

    @property
    def keeps_mpid(self) -> bool:
        """Whether somebody new who signs up stays the profile that they were."""
        return self.on_new_known_user is convert_anonymous_profile or not self.has_login

    @property
    def goes_back_at_logout(self) -> bool:
        """Whether a logout leads to the anonymous profile that the device had before."""
        return self.has_login and self.on_logout is return_to_anonymous_profile


DEFAULT: Final = Strategy(
    name="default",
    unique_ids=DEFAULT_IDS["default"],
    login_ids=DEFAULT_IDS["default"],
    on_new_known_user=convert_anonymous_profile,
    on_logout=create_profile,
    documented_at="guides/idsync/default-strategy",
)
PROFILE_CONVERSION: Final = Strategy(
    name="profile_conversion",
    unique_ids=DEFAULT_IDS["profile_conversion"],
    login_ids=DEFAULT_IDS["profile_conversion"],
    on_new_known_user=convert_anonymous_profile,
    on_logout=create_profile,
    documented_at="guides/idsync/profile-conversion-strategy",
)
PROFILE_LINK: Final = Strategy(
    name="profile_link",
    unique_ids=DEFAULT_IDS["profile_link"],
    login_ids=DEFAULT_IDS["profile_link"],
    on_new_known_user=create_linked_profile,
    on_logout=create_profile,
    documented_at="guides/idsync/profile-link-strategy",
)
PROFILE_ISOLATION: Final = Strategy(
    name="profile_isolation",
    unique_ids=DEFAULT_IDS["profile_isolation"],
    login_ids=DEFAULT_IDS["profile_isolation"],
    on_new_known_user=create_profile,
    on_logout=return_to_anonymous_profile,
    documented_at="guides/idsync/profile-isolation-strategy",
    has_alias=False,
)
BEST_MATCH: Final = Strategy(
    name="best_match",
    unique_ids=DEFAULT_IDS["best_match"],
    login_ids=DEFAULT_IDS["best_match"],
    # Never asked: nothing is a login ID, and there is no logout.
    on_new_known_user=create_profile,
    on_logout=create_profile,
    documented_at="guides/idsync/best-match-strategy",
    has_login=False,
    has_alias=False,
)

STRATEGIES: Final[Mapping[str, Strategy]] = MappingProxyType(
    {
        strategy.name: strategy
        for strategy in (DEFAULT, PROFILE_CONVERSION, PROFILE_LINK, PROFILE_ISOLATION, BEST_MATCH)
    }
)
"""Every strategy by its name."""
