"""Every setting: its variable, its default, its unit, and what is allowed.

A variable is the field's name in capitals behind `HIGGS_SHOP_`. `Settings.load()` reads them from the
environment and from `.env`; `Settings(port=0)` takes nothing but what it is given. Neither writes
anything: the secrets that a store makes for itself are in `instance_secrets.py`.
"""

import os
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import platformdirs
from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from sqlalchemy import URL

from higgs_shop.apis.rate_limit import LIMIT_PATTERN
from higgs_shop.identity_settings import (
    IdentityRules,
    ImmutableIds,
    LoginIds,
    Priority,
    Strategy,
    UniqueIds,
    ids_of_strategy,
)
from higgs_shop.identity_types import DEFAULT_PRIORITY
from higgs_shop.mistakes import Mistake, explained, mistakes_in
from higgs_shop.networks import LOOPBACK, Network, Reach
from higgs_shop.setting_values import (
    STRONG_SECRET_BYTES,
    Refused,
    absolute_folder,
    base_url,
    endpoint_url,
    first_is_at_once,
    header_value,
    nearest,
    network,
    not_yet,
    signing_secret,
    split_at_commas,
    supported_database,
)

PREFIX: Final = "HIGGS_SHOP_"
DEMO_KEY: Final = "demo-web-key"
DEMO_SECRET: Final = "demo-web-secret"  # noqa: S105 (printed in the README, refused in production)

HostNames = Annotated[
    tuple[Annotated[str, Field(pattern=r"^(\.?[a-z0-9-]+(\.[a-z0-9-]+)*|\[[0-9a-f:.]+\])$")], ...],
    Field(min_length=1),
    BeforeValidator(split_at_commas),
]
Networks = Annotated[
    tuple[Annotated[IPv4Network | IPv6Network, BeforeValidator(network)], ...],
    BeforeValidator(split_at_commas),
]
Waits = Annotated[
    tuple[Annotated[int, Field(ge=0, le=30 * 86_400)], ...],
    Field(min_length=1, max_length=30),
    BeforeValidator(split_at_commas),
    AfterValidator(first_is_at_once),
]


class SettingsError(Exception):
    """Some settings are wrong; `lines` says for each which, what it is, and what is allowed."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def variable(field: str) -> str:
    """The environment variable of a field: `port` is `HIGGS_SHOP_PORT`."""
    return f"{PREFIX}{field.upper()}"


def setting(default: Any, meaning: str, *, allowed: str, **limits: Any) -> Any:
    """One setting: its default (or what makes it), its meaning, and what to use if it is wrong."""
    limits["default_factory" if callable(default) else "default"] = default
    return explained(meaning, allowed=allowed, **limits)


def default_instance(package: Path = Path(__file__).parent) -> Path:
    """`instance/` in the project when run from a checkout, else the user's data folder."""
    project = package.resolve().parent
    if (project / "pyproject.toml").is_file():
        return project / "instance"
    return platformdirs.user_data_path("higgs-shop")


def _sqlite_file(given: dict[str, Any]) -> str:
    file = given["instance"] / "higgs-shop.db"
    return URL.create("sqlite", database=str(file)).render_as_string()


class Settings(IdentityRules):
    """What a store is told from outside, checked and ready to use; it cannot be changed.

    Raises SettingsError, with a line for each setting that is wrong or unknown.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True
    )

    environment: Literal["development", "production"] = setting(
        "development",
        "production refuses the demo's keys and hides the operator pages from strangers",
        allowed="development or production",
    )
    host: str = setting(
        "127.0.0.1",
        "address to listen on",
        allowed="an address or a host name",
        pattern=r"^[A-Za-z0-9.:_-]+$",
    )
    port: int = setting(
        8000,
        "port to listen on; 0 picks a free one and prints it",
        allowed="a whole number from 0 to 65535",
        ge=0,
        le=65_535,
    )
    tls: bool = setting(
        False,
        "serves https with a certificate that the store makes for itself, as `run --tls` does",
        allowed="on or off",
    )
    threads: int = setting(
        8,
        "requests answered at the same time",
        allowed="a whole number from 1 to 64",
        ge=1,
        le=64,
    )
    instance: Annotated[Path, AfterValidator(absolute_folder)] = setting(
        default_instance,
        "folder for the database and the generated secrets",
        allowed="the path of a folder",
    )
    database_url: Annotated[str, AfterValidator(supported_database)] = setting(
        _sqlite_file,
        "a SQLite file in the instance folder, or PostgreSQL",
        allowed="sqlite:///<path> or postgresql://<user>@<host>/<database>",
        repr=False,
    )
    secret_key: SecretStr = setting(
        "",
        "signs cookies; empty: generated once and kept in the instance folder",
        allowed="at least 32 bytes in production, e.g. of `openssl rand -base64 48`",
    )
    permitted_networks: Networks = setting(
        (),
        "networks that are not public and may be sent to, e.g. `10.1.2.0/24,::1`; loopback needs no "
        "permission in development",
        allowed="networks like 10.0.0.0/8 or fd00::/8, separated by commas",
    )
    idsync_url: Annotated[str, AfterValidator(base_url)] = setting(
        "",
        "base URL of a remote IDSync API; empty: the embedded service, in process",
        allowed="an https URL, or http to a loopback address",
    )
    alias_url: Annotated[str, AfterValidator(base_url)] = setting(
        "",
        "what stands before `/<key>/alias` at a remote service; empty: the embedded service, and with a "
        "remote one nothing is carried over",
        allowed="an https URL, or http to a loopback address",
    )
    alias_delay_seconds: int = setting(
        0,
        "how long the embedded service waits for late events before it carries an alias out, in seconds",
        allowed="a whole number from 0 to 604800",
        ge=0,
        le=604_800,
    )
    idsync_key: str = setting(
        DEMO_KEY,
        "API key, of the embedded service's default workspace too",
        allowed="letters, digits, dots, dashes and underscores",
        pattern=r"^[A-Za-z0-9._-]+$",
    )
    idsync_secret: SecretStr = setting(
        DEMO_SECRET,
        "API secret that signs identity calls, of the default workspace too",
        allowed="any text",
        min_length=1,
    )
    identity_budget_seconds: float = setting(
        1.5,
        "how long a page waits for the identity service, in seconds",
        allowed="seconds, more than 0 and at most 60",
        gt=0,
        le=60,
    )
    events_url: Annotated[str, AfterValidator(not_yet)] = setting(
        "",
        "base URL of a remote Events API that gets the batches as well; not available yet",
        allowed="nothing yet",
    )
    webhook_url: Annotated[str, AfterValidator(endpoint_url)] = setting(
        "",
        "where the webhook output posts; empty: this server's own inbox",
        allowed="an http or https URL",
    )
    webhook_authorization: Annotated[SecretStr, AfterValidator(header_value)] = setting(
        "",
        "value of the webhook's Authorization header; empty: none",
        allowed="printable ASCII characters",
    )
    webhook_secret: Annotated[SecretStr, AfterValidator(signing_secret)] = setting(
        "",
        "Standard Webhooks signing secret; empty: generated once and kept in the instance folder",
        allowed="whsec_ and then 24 to 64 bytes in base64",
    )
    webhook_timeout_seconds: float = setting(
        10.0,
        "how long one webhook delivery may take in all, in seconds",
        allowed="seconds, more than 0 and at most 120",
        gt=0,
        le=120,
    )
    webhook_retry_seconds: Waits = setting(
        (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400),
        "the wait before each attempt at a delivery, in seconds; the first is 0",
        allowed="whole seconds separated by commas, the first 0, e.g. 0,5,300",
    )
    webhook_most_waiting: int = setting(
        1_000_000,
        "how many messages may wait at one webhook output; more become dead letters at once; 0: any number",
        allowed="a whole number from 0 to 1000000000",
        ge=0,
        le=1_000_000_000,
    )
    webhook_batch_seconds: int = setting(
        600,
        "how long a webhook's batch waits for more events, where one sends as batch, in seconds",
        allowed="a whole number from 1 to 86400",
        ge=1,
        le=86_400,
    )
    webhook_alias_requests: bool = setting(
        False,
        "whether the webhook gets alias requests too",
        allowed="on or off",
    )
    retention_days: int = setting(
        30,
        "how long deliveries, dead letters, events and what the inbox got are kept, in days; 0: for ever",
        allowed="a whole number from 0 to 3650",
        ge=0,
        le=3_650,
    )
    identity_strategy: Strategy = "profile_conversion"
    identity_priority: Priority = DEFAULT_PRIORITY
    login_ids: LoginIds = Field(default_factory=ids_of_strategy)
    unique_ids: UniqueIds = Field(default_factory=ids_of_strategy)
    immutable_ids: ImmutableIds = ()
    rate_limit: str = setting(
        "",
        "calls that each process allows one API key, e.g. `100/second` or `600/minute`; empty: any number",
        allowed="a whole number, a slash, and second or minute, e.g. 100/second or 6000/minute",
        pattern=LIMIT_PATTERN,
    )
    data_plan: Literal["", "off"] = setting(
        "",
        "path of a data plan, or off; events are not checked against plans yet",
        allowed="off; plans are not available in this release",
    )
    operator_token: SecretStr = setting(
        "",
        "asked for before the operator pages; empty: only this machine, only in development",
        allowed="any text",
    )
    trusted_hosts: HostNames = setting(
        ("localhost", "127.0.0.1", "[::1]"),
        "the Host names that are served",
        allowed="host names in small letters without scheme or port, separated by commas",
    )
    proxy_hops: int = setting(
        0,
        "how many proxies in front are believed",
        allowed="a whole number from 0 to 10",
        ge=0,
        le=10,
    )
    testing: Annotated[bool, AfterValidator(not_yet)] = setting(
        False,
        "opens a control API for test suites; not available yet",
        allowed="off",
    )

    @property
    def production(self) -> bool:
        """Whether strangers may reach this store."""
        return self.environment == "production"

    @property
    def secure(self) -> bool:
        """Whether browsers reach this store over https: by itself, or by the proxy before it."""
        return self.production or self.tls

    @property
    def reach(self) -> Reach:
        """Where the store may connect to."""
        return _reach(self.environment, self.permitted_networks)

    @classmethod
    def load(
        cls, environ: Mapping[str, str] | None = None, *, env_file: Path | None = Path(".env")
    ) -> Self:
        """Read the environment, and below it the `.env` file of the current folder.

        Args:
            environ: the variables; the process's own if not given.
            env_file: lines of VARIABLE=value; it need not be there, and other prefixes are let be.
        An empty value means the default.
        Raises: SettingsError.
        """
        given = _read(env_file) | dict(os.environ if environ is None else environ)
        return cls(
            **{
                name.removeprefix(PREFIX).lower(): value
                for name, value in given.items()
                if name.startswith(PREFIX) and value
            }
        )

    @field_validator("alias_url")
    @classmethod
    def _with_a_remote_service(cls, url: str, info: ValidationInfo) -> str:
        if url and info.data.get("idsync_url") == "":
            raise Refused(f"the embedded service has its own; use it with {variable('idsync_url')}")
        return url

    @field_validator("idsync_url", "alias_url", "webhook_url")
    @classmethod
    def _within_reach(cls, url: str, info: ValidationInfo) -> str:
        # Only what the URL itself tells, so that a start fails early; every address is checked
        # again when it is dialled.
        if not {"environment", "permitted_networks"} <= info.data.keys():
            return url
        reach = _reach(info.data["environment"], info.data["permitted_networks"])
        refusal = reach.refusal_of_url(url)
        if refusal is not None:
            raise Refused(refusal)
        return url

    @field_validator("idsync_key")
    @classmethod
    def _own_key_in_production(cls, key: str, info: ValidationInfo) -> str:
        if key == DEMO_KEY and info.data.get("environment") == "production":
            raise Refused("production refuses the demo's key; use one of your own")
        return key

    @field_validator("idsync_secret")
    @classmethod
    def _own_secret_in_production(cls, secret: SecretStr, info: ValidationInfo) -> SecretStr:
        if (
            secret.get_secret_value() == DEMO_SECRET
            and info.data.get("environment") == "production"
        ):
            raise Refused("production refuses the demo's secret; use one of your own")
        return secret

    @field_validator("secret_key")
    @classmethod
    def _strong_in_production(cls, key: SecretStr, info: ValidationInfo) -> SecretStr:
        length_bytes = len(key.get_secret_value().encode())
        weak = 0 < length_bytes < STRONG_SECRET_BYTES
        if weak and info.data.get("environment") == "production":
            raise ValueError
        return key

    @model_validator(mode="wrap")
    @classmethod
    def _one_line_each(cls, given: Any, build: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return build(given)
        except ValidationError as error:
            raise SettingsError(
                [_line(mistake) for mistake in mistakes_in(cls, given, error)]
            ) from None


def _reach(environment: str, permitted: tuple[Network, ...]) -> Reach:
    return Reach(permitted if environment == "production" else (*permitted, *LOOPBACK))


def _read(env_file: Path | None) -> dict[str, str]:
    if env_file is None:
        return {}
    try:
        return {
            name: value or "" for name, value in dotenv_values(env_file, interpolate=False).items()
        }
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{env_file}: cannot be read ({error})"]) from error


def _line(mistake: Mistake) -> str:
    name = variable(mistake.field)
    if mistake.field not in Settings.model_fields:
        meant = nearest(mistake.field, Settings.model_fields, variable)
        return f"{name}: {mistake.reason}{meant}"
    return f"{name}={mistake.shown}: {mistake.reason}"
