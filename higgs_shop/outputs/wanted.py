"""An output as somebody wants it: given as texts, checked, and completed.

Nothing here asks the database.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from higgs_shop.instance_secrets import new_signing_secret
from higgs_shop.mistakes import explained, mistakes_in
from higgs_shop.networks import Reach
from higgs_shop.outputs.errors import OutputRefused
from higgs_shop.outputs.output import Output
from higgs_shop.outputs.settings import OutputSettings
from higgs_shop.setting_values import Refused, header_value, signing_secret

_NAME: Final = r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"
_MOST_AUTHORIZATION_CHARACTERS: Final = 2_000
_BESIDE_SETTINGS: Final = frozenset({"name", "authorization", "secret"})


class _Wanted(OutputSettings):
    name: Annotated[
        str,
        Field(pattern=_NAME),
        explained(
            "what it is called",
            allowed="up to 40 small letters, digits and dashes, with a letter or digit at both ends",
        ),
    ]
    authorization: Annotated[
        SecretStr,
        Field(max_length=_MOST_AUTHORIZATION_CHARACTERS),
        AfterValidator(header_value),
        explained(
            "value of the Authorization header; empty: none",
            allowed=f"up to {_MOST_AUTHORIZATION_CHARACTERS:,} printable ASCII characters",
        ),
    ] = SecretStr("")
    secret: Annotated[
        SecretStr,
        AfterValidator(signing_secret),
        explained(
            "signing secret; empty: one is made", allowed="whsec_ and then 24 to 64 bytes in base64"
        ),
    ] = SecretStr("")

    @field_validator("url")
    @classmethod
    def _within_reach(cls, url: str, info: ValidationInfo) -> str:
        # Only what the URL itself tells: every address is checked again when it is dialled.
        reach: Reach | None = info.context
        refusal = None if reach is None else reach.refusal_of_url(url)
        if refusal is not None:
            raise Refused(refusal)
        return url


@dataclass(frozen=True, slots=True)
class WantedOutput:
    """Everything that an output is made with. What is secret stays out of its repr."""

    name: str
    settings: OutputSettings
    authorization: str = field(repr=False)
    secret: str = field(repr=False)


def new_output(given: Mapping[str, str], *, reach: Reach) -> WantedOutput:
    """An output from texts by field, as in OutputSettings, and `name`, `authorization`, `secret`.

    A switch is `on` or `off`; names of metadata are separated by commas. What is left out is as usual,
    and a secret is made.

    Args:
        reach: where outputs may post.
    Raises: OutputRefused, with everything that is wrong.
    """
    wanted = _checked({"name": "", **given}, reach)
    return WantedOutput(
        wanted.name,
        _settings(wanted),
        wanted.authorization.get_secret_value(),
        wanted.secret.get_secret_value() or new_signing_secret(),
    )


def changed_output(
    output: Output,
    given: Mapping[str, str],
    *,
    reach: Reach,
    forgets_authorization: bool = False,
) -> tuple[OutputSettings, str]:
    """An output's settings and authorization with other texts in some fields.

    What the environment gives stays, whatever is given for it. An empty authorization leaves the one
    that is there, unless it is to be forgotten.

    Args:
        reach: where outputs may post; a URL that stays as it is may lie beyond it.
    Raises: OutputRefused, with everything that is wrong.
    """
    own = {name: text for name, text in given.items() if name not in output.from_environment}
    texts = {**as_texts(output), **own, "name": output.name, "secret": ""}
    wanted = _checked(texts, None if texts["url"] == output.settings.url else reach)
    authorization = wanted.authorization.get_secret_value()
    if not authorization and not forgets_authorization:
        authorization = output.authorization
    return _settings(wanted), authorization


def as_texts(output: Output) -> dict[str, str]:
    """The texts that make an output's settings."""
    return {name: _text(value) for name, value in output.settings.model_dump().items()}


def signing_secret_or_new(text: str) -> str:
    """A signing secret that somebody typed in; a new one for an empty text. Raises: OutputRefused."""
    wanted = _checked({"name": "any", "secret": text})
    return wanted.secret.get_secret_value() or new_signing_secret()


def _checked(texts: Mapping[str, str], reach: Reach | None = None) -> _Wanted:
    try:
        return _Wanted.model_validate(texts, context=reach)
    except ValidationError as error:
        raise OutputRefused(mistakes_in(_Wanted, texts, error)) from None


def _settings(wanted: _Wanted) -> OutputSettings:
    return OutputSettings(**wanted.model_dump(exclude=set(_BESIDE_SETTINGS)))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return ",".join(value) if isinstance(value, tuple) else value
