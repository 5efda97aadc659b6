"""How a workspace tells people apart: five settings, and the rules between them.

The store's own settings and those of every other workspace are checked by these same rules.
"""

from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
)

from higgs_shop.identity_types import DEFAULT_IDS
from higgs_shop.mistakes import explained
from higgs_shop.setting_values import Refused, identity_types, known_strategy, split_at_commas

HAS_NONE: Final = "best_match has none, since it only matches; leave it empty"
"""Why best_match is given no login or unique IDs."""

_Types = Annotated[
    tuple[str, ...], BeforeValidator(split_at_commas), AfterValidator(identity_types)
]

Strategy = Annotated[
    str,
    AfterValidator(known_strategy),
    explained(
        "what the embedded service does with a new login ID, and at logout",
        allowed=", ".join(DEFAULT_IDS),
    ),
]
Priority = Annotated[
    _Types,
    Field(min_length=1),
    explained(
        "the order in which identity types are looked up",
        allowed="identity types separated by commas, each once",
    ),
]
LoginIds = Annotated[
    _Types,
    explained(
        "identity types that name exactly one known person",
        allowed="identity types separated by commas, each once",
    ),
]
UniqueIds = Annotated[
    _Types,
    explained(
        "identity types of which one value may stand on one profile only",
        allowed="identity types separated by commas, each once",
    ),
]
ImmutableIds = Annotated[
    _Types,
    explained(
        "login IDs, unique too, that can never change once set",
        allowed="types that are login IDs and unique IDs too, separated by commas",
    ),
]


def ids_of_strategy(given: dict[str, Any]) -> tuple[str, ...]:
    """The login and unique IDs that a strategy brings, as a default factory."""
    return DEFAULT_IDS[given["identity_strategy"]]


class IdentityRules(BaseModel):
    """For a model that has these five settings, in this order: what goes together."""

    @field_validator("login_ids", "unique_ids", check_fields=False)
    @classmethod
    def _as_the_strategy_has_them(
        cls, names: tuple[str, ...], info: ValidationInfo
    ) -> tuple[str, ...]:
        strategy = info.data.get("identity_strategy", "")
        if strategy == "best_match" and names:
            raise Refused(HAS_NONE)
        if strategy != "best_match" and info.field_name == "login_ids" and not names:
            raise ValueError
        return names

    @field_validator("immutable_ids", check_fields=False)
    @classmethod
    def _login_and_unique(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for field, what in (("login_ids", "login ID"), ("unique_ids", "unique ID")):
            for name in names:
                if field in info.data and name not in info.data[field]:
                    raise Refused(
                        f"no {what}: {name}; use types that are login IDs and unique IDs too"
                    )
        return names
