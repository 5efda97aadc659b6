"""The identity strategies: the documentation's table, a value for each row.

| Strategy | Unique IDs | Login IDs | A login ID never seen before | Logout |
| --- | --- | --- | --- | --- |
| profile_conversion | configurable | configurable | added to the anonymous profile | new profile |
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from higgs_shop.identity_types import CUSTOMER_ID, EMAIL
from higgs_shop.idsync_service.policies import (
    Policy,
    convert_anonymous_profile,
    create_profile,
)


@dataclass(frozen=True, slots=True)
class Strategy:
    """What to do with a new login ID, and at logout.

    Attributes:
        unique_ids, login_ids: the defaults; a workspace has its own.
        on_new_known_user: asked when a login ID is given that finds nobody.
        on_logout: asked when a logout does not name somebody known.
        documented_at: the page that describes the strategy.
    """

    name: str
    unique_ids: tuple[str, ...]
    login_ids: tuple[str, ...]
    on_new_known_user: Policy
    on_logout: Policy
    documented_at: str


PROFILE_CONVERSION: Final = Strategy(
    name="profile_conversion",
    unique_ids=(CUSTOMER_ID, EMAIL),
    login_ids=(CUSTOMER_ID, EMAIL),
    on_new_known_user=convert_anonymous_profile,
    on_logout=create_profile,
    documented_at="guides/idsync/profile-conversion-strategy",
)

STRATEGIES: Final[Mapping[str, Strategy]] = MappingProxyType(
    {strategy.name: strategy for strategy in (PROFILE_CONVERSION,)}
)
"""Every strategy by its name."""
