"""What the calls are answered with, as the documentation shows it. Nothing is built from these models:
they describe, and the tests hold every real answer against them.

Source: IDSync HTTP API, "Response schema".
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from higgs_shop.apis.answers import ErrorAnswer
from higgs_shop.idsync_service.messages import IdentityType, IdentityValue, Mpid


class _Answer(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class IdentityAnswer(_Answer):
    """The profile to move to."""

    context: str | None
    mpid: Annotated[
        Mpid | None,
        Field(description="The profile; null where read_only kept a new one from being made."),
    ]
    matched_identities: Annotated[
        dict[IdentityType, IdentityValue],
        Field(description="Those of the request by which the profile was found."),
    ]
    is_ephemeral: Annotated[
        bool,
        Field(description="Whether the profile's local data may be forgotten on the next move."),
    ]
    is_logged_in: Annotated[bool, Field(description="Whether the profile holds a login ID.")]


class ChangeResult(_Answer):
    """One change of a modify, and the profile that it was made to."""

    identity_type: IdentityType
    modified_mpid: Mpid


class ModifyAnswer(IdentityAnswer):
    """The profile that was changed, as it is now."""

    change_results: list[ChangeResult]


class AliasErrorAnswer(ErrorAnswer):
    """The same, with what the Web SDK reads: all of it in one message, at the top."""

    message: str
    code: str
