"""A workspace as somebody wants it: given as texts, checked, and completed.

Nothing here asks the database.
"""

import secrets
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, ConfigDict, Field, SecretStr, ValidationError

from higgs_shop.identity_settings import (
    IdentityRules,
    ImmutableIds,
    LoginIds,
    Priority,
    Strategy,
    UniqueIds,
    ids_of_strategy,
)
from higgs_shop.identity_types import DEFAULT_IDS, DEFAULT_PRIORITY
from higgs_shop.mistakes import explained, mistakes_in
from higgs_shop.workspaces.errors import WorkspaceRefused
from higgs_shop.workspaces.workspace import NAME, Workspace

NONE: Final = ","
"""The text for no identity types at all; an empty one means the strategy's own."""

_MOST_KEY_CHARACTERS: Final = 100
_MOST_SECRET_CHARACTERS: Final = 200


def _new_key(given: dict[str, Any]) -> str:
    return f"{given['id']}-{secrets.token_hex(8)}"


def _new_secret() -> SecretStr:
    return SecretStr(secrets.token_urlsafe(32))


def _printable(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not 0 < len(text) <= _MOST_SECRET_CHARACTERS or not text.isprintable():
        raise ValueError
    return secret


class _Wanted(IdentityRules):
    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True
    )

    id: Annotated[
        str,
        Field(pattern=NAME),
        explained(
            "what it is called",
            allowed="up to 40 small letters, digits and dashes, with a letter or digit at both ends",
        ),
    ]
    api_key: Annotated[
        str,
        Field(pattern=r"^[A-Za-z0-9._-]+$", max_length=_MOST_KEY_CHARACTERS),
        explained(
            "API key",
            allowed=f"up to {_MOST_KEY_CHARACTERS} letters, digits, dots, dashes and underscores",
        ),
    ] = Field(default_factory=_new_key)
    api_secret: Annotated[
        SecretStr,
        AfterValidator(_printable),
        explained(
            "API secret", allowed=f"1 to {_MOST_SECRET_CHARACTERS} characters that can be printed"
        ),
    ] = Field(default_factory=_new_secret)
    identity_strategy: Strategy = "profile_conversion"
    identity_priority: Priority = DEFAULT_PRIORITY
    login_ids: LoginIds = Field(default_factory=ids_of_strategy)
    unique_ids: UniqueIds = Field(default_factory=ids_of_strategy)
    immutable_ids: ImmutableIds = ()


def new_workspace(given: Mapping[str, str]) -> Workspace:
    """A workspace from texts by field, as in `Workspace`; identity types are separated by commas.

    What is empty or left out is made or taken from the strategy, except for the name.
    Raises: WorkspaceRefused, with everything that is wrong.
    """
    values = {"id": "", **{field: text for field, text in given.items() if text}}
    try:
        wanted = _Wanted.model_validate(values)
    except ValidationError as error:
        raise WorkspaceRefused(mistakes_in(_Wanted, values, error)) from None
    return Workspace(
        **wanted.model_dump(exclude={"api_secret"}),
        api_secret=wanted.api_secret.get_secret_value(),
    )


def as_texts(workspace: Workspace) -> dict[str, str]:
    """The texts that make this workspace: those are empty that its strategy brings by itself."""
    own = {
        "identity_priority": DEFAULT_PRIORITY,
        "login_ids": DEFAULT_IDS[workspace.identity_strategy],
        "unique_ids": DEFAULT_IDS[workspace.identity_strategy],
        "immutable_ids": (),
    }
    types = {
        field: "" if (names := getattr(workspace, field)) == usual else ",".join(names) or NONE
        for field, usual in own.items()
    }
    return {
        "id": workspace.id,
        "api_key": workspace.api_key,
        "api_secret": workspace.api_secret,
        "identity_strategy": workspace.identity_strategy,
        **types,
    }
