"""Settings: defaults, reading, and one plain line for each wrong one."""

from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from pydantic import SecretStr

from higgs_shop.identity_types import DEFAULT_PRIORITY
from higgs_shop.settings import Settings, SettingsError, default_instance, variable

SIGNING_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OWN_KEYS = {"idsync_key": "us1-0123456789abcdef", "idsync_secret": "a secret of our own"}


def lines_of(**given: object) -> list[str]:
    """What the error says when these are the settings."""
    with pytest.raises(SettingsError) as raised:
        Settings(**given)
    return raised.value.lines


def loaded(tmp_path: Path, **variables: str) -> Settings:
    """Settings from these variables, without their prefix, and no file."""
    environ = {f"HIGGS_SHOP_{name}": value for name, value in variables.items()}
    return Settings.load({"HIGGS_SHOP_INSTANCE": str(tmp_path)} | environ, env_file=None)


def test_every_default_is_the_documented_one(tmp_path: Path) -> None:
    settings = Settings(instance=tmp_path)

    assert settings.model_dump() == {
        "environment": "development",
        "host": "127.0.0.1",
        "port": 8000,
        "tls": False,
        "threads": 8,
        "instance": tmp_path,
        "database_url": f"sqlite:///{tmp_path}/higgs-shop.db",
        "secret_key": SecretStr(""),
        "permitted_networks": (),
        "idsync_url": "",
        "alias_url": "",
        "alias_delay_seconds": 0,
        "idsync_key": "demo-web-key",
        "idsync_secret": SecretStr("demo-web-secret"),
        "identity_budget_seconds": 1.5,
        "events_url": "",
        "webhook_url": "",
        "webhook_authorization": SecretStr(""),
        "webhook_secret": SecretStr(""),
        "webhook_timeout_seconds": 10.0,
        "webhook_retry_seconds": (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400),
        "webhook_most_waiting": 1_000_000,
        "webhook_batch_seconds": 600,
        "webhook_alias_requests": False,
        "retention_days": 30,
        "identity_strategy": "profile_conversion",
        "identity_priority": DEFAULT_PRIORITY,
        "login_ids": ("customerid", "email"),
        "unique_ids": ("customerid", "email"),
        "immutable_ids": (),
        "rate_limit": "",
        "data_plan": "",
        "operator_token": SecretStr(""),
        "trusted_hosts": ("localhost", "127.0.0.1", "[::1]"),
        "proxy_hops": 0,
        "testing": False,
    }
    assert not settings.production


def test_every_setting_says_what_it_means_and_what_is_allowed() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert isinstance(field.json_schema_extra, dict), name
        assert field.json_schema_extra["allowed"], name


def test_making_settings_writes_nothing(tmp_path: Path) -> None:
    Settings(instance=tmp_path / "not there yet")

    assert list(tmp_path.iterdir()) == []


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    settings = Settings(instance=tmp_path)

    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1  # type: ignore[misc]  # that is what is tested


def test_a_checkout_keeps_its_store_in_the_project(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()

    assert default_instance(tmp_path / "higgs_shop") == tmp_path / "instance"


def test_an_installed_store_lives_in_the_users_data_folder(tmp_path: Path) -> None:
    assert default_instance(tmp_path / "higgs_shop").name == "higgs-shop"


class TestReading:
    """Where values come from, and which one wins."""

    def test_keywords_leave_the_environment_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HIGGS_SHOP_PORT", "9000")

        assert Settings().port == 8000

    def test_load_reads_the_process_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HIGGS_SHOP_PORT", "9000")

        assert Settings.load(env_file=None).port == 9000

    def test_load_reads_the_env_file_of_the_current_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / ".env").write_text("# ours\nHIGGS_SHOP_PORT=9001\nOTHER_PORT=junk\n")
        monkeypatch.chdir(tmp_path)

        assert Settings.load({}).port == 9001

    def test_the_environment_beats_the_file(self, tmp_path: Path) -> None:
        env_file = tmp_path / "env"
        env_file.write_text("HIGGS_SHOP_PORT=9001\nHIGGS_SHOP_HOST='::1'\n")

        settings = Settings.load({"HIGGS_SHOP_PORT": "9002"}, env_file=env_file)

        assert (settings.port, settings.host) == (9002, "::1")

    def test_an_empty_value_means_the_default(self, tmp_path: Path) -> None:
        env_file = tmp_path / "env"
        env_file.write_text("HIGGS_SHOP_PORT=9001\nHIGGS_SHOP_THREADS\n")

        settings = Settings.load({"HIGGS_SHOP_PORT": ""}, env_file=env_file)

        assert (settings.port, settings.threads) == (8000, 8)

    def test_a_dollar_in_the_file_stays_a_dollar(self, tmp_path: Path) -> None:
        env_file = tmp_path / "env"
        env_file.write_text("HIGGS_SHOP_OPERATOR_TOKEN=a${HOME}b\n")

        settings = Settings.load({}, env_file=env_file)

        assert settings.operator_token.get_secret_value() == "a${HOME}b"

    def test_a_file_that_is_no_text_is_named(self, tmp_path: Path) -> None:
        env_file = tmp_path / "env"
        env_file.write_bytes(b"HIGGS_SHOP_PORT=\xff\n")

        with pytest.raises(SettingsError, match=r"env: cannot be read"):
            Settings.load({}, env_file=env_file)

    def test_texts_become_what_they_mean(self, tmp_path: Path) -> None:
        settings = loaded(
            tmp_path,
            IDENTITY_PRIORITY=" email , customerid ",
            LOGIN_IDS="email",
            UNIQUE_IDS="email,other",
            IMMUTABLE_IDS="email",
            WEBHOOK_RETRY_SECONDS="0, 1, 60",
            IDENTITY_BUDGET_SECONDS="0.25",
            WEBHOOK_SECRET=SIGNING_SECRET,
            IDSYNC_URL="https://identity.example.com/v1/",
            TRUSTED_HOSTS="shop.example.com,.example.org",
            PERMITTED_NETWORKS="10.1.2.0/24, ::1",
        )

        assert settings.identity_priority == ("email", "customerid")
        assert settings.unique_ids == ("email", "other")
        assert settings.immutable_ids == ("email",)
        assert settings.webhook_retry_seconds == (0, 1, 60)
        assert settings.identity_budget_seconds == 0.25
        assert settings.webhook_secret.get_secret_value() == SIGNING_SECRET
        assert settings.idsync_url == "https://identity.example.com/v1"
        assert settings.trusted_hosts == ("shop.example.com", ".example.org")
        assert settings.permitted_networks == (ip_network("10.1.2.0/24"), ip_network("::1/128"))

    @pytest.mark.parametrize(
        ("strategy", "ids"),
        [
            ("default", ("customerid",)),
            ("profile_conversion", ("customerid", "email")),
            ("profile_link", ("customerid", "email")),
            ("profile_isolation", ("customerid", "email")),
            ("best_match", ()),
        ],
    )
    def test_login_and_unique_ids_are_the_strategy_s(
        self, tmp_path: Path, strategy: str, ids: tuple[str, ...]
    ) -> None:
        settings = loaded(tmp_path, IDENTITY_STRATEGY=strategy)

        assert settings.login_ids == settings.unique_ids == ids

    @pytest.mark.parametrize("variable_name", ["LOGIN_IDS", "UNIQUE_IDS"])
    def test_best_match_takes_none(self, tmp_path: Path, variable_name: str) -> None:
        with pytest.raises(SettingsError, match="best_match has none"):
            loaded(tmp_path, IDENTITY_STRATEGY="best_match", **{variable_name: "email"})

    def test_the_data_plan_can_be_off(self, tmp_path: Path) -> None:
        assert loaded(tmp_path, DATA_PLAN="off").data_plan == "off"

    def test_the_instance_folder_is_taken_from_here(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)

        assert Settings(instance="data").instance == tmp_path / "data"

    @pytest.mark.parametrize(
        ("given", "used"),
        [
            ("postgresql://ann:pw@db/shop", "postgresql+psycopg://ann:pw@db/shop"),
            ("postgres://db/shop", "postgresql+psycopg://db/shop"),
            ("postgresql+psycopg://db/shop", "postgresql+psycopg://db/shop"),
            ("sqlite:////var/lib/shop.db", "sqlite:////var/lib/shop.db"),
        ],
    )
    def test_postgresql_means_psycopg_3(self, given: str, used: str) -> None:
        assert Settings(database_url=given).database_url == used

    @pytest.mark.parametrize(
        "url", ["http://127.0.0.1:9000", "http://localhost", "http://[::1]:1", "https://a.example"]
    )
    def test_a_remote_api_is_reached_safely(self, url: str) -> None:
        assert Settings(idsync_url=url).idsync_url == url

    @pytest.mark.parametrize(
        "host",
        [
            "10.0.0.1",
            "192.168.0.1",
            "[fe80::1]",
            "0.0.0.0",  # noqa: S104 (that is what is tested)
            "127.1",
            "0x7f.1",
            "2130706433",
            "localhost.example",
            "127.0.0.1.example",
            "identity.localhost.example:80",
        ],
    )
    def test_plain_http_never_leaves_this_machine(self, host: str) -> None:
        (line,) = lines_of(idsync_url=f"http://{host}/v1")
        assert line.startswith("HIGGS_SHOP_IDSYNC_URL=")
        assert line.endswith("plain http leaves this machine; use https")


@pytest.mark.parametrize(
    ("field", "value", "line"),
    [
        ("port", "abc", "HIGGS_SHOP_PORT=abc: use a whole number from 0 to 65535"),
        ("port", "65536", "HIGGS_SHOP_PORT=65536: use a whole number from 0 to 65535"),
        ("host", "a b", "HIGGS_SHOP_HOST=a b: use an address or a host name"),
        ("threads", "0", "HIGGS_SHOP_THREADS=0: use a whole number from 1 to 64"),
        ("environment", "prod", "HIGGS_SHOP_ENVIRONMENT=prod: use development or production"),
        ("testing", "perhaps", "HIGGS_SHOP_TESTING=perhaps: use off"),
        ("testing", "on", "HIGGS_SHOP_TESTING=on: not available in this release"),
        ("proxy_hops", "-1", "HIGGS_SHOP_PROXY_HOPS=-1: use a whole number from 0 to 10"),
        ("instance", __file__, f"HIGGS_SHOP_INSTANCE={__file__}"),
        ("instance", "~nobody-here/x", "nobody has that home folder"),
        ("rate_limit", "100", "HIGGS_SHOP_RATE_LIMIT=100: use a whole number, a slash, and second"),
        ("rate_limit", "0/second", "use a whole number, a slash, and second or minute"),
        ("rate_limit", "5/hour", "use a whole number, a slash, and second or minute"),
        ("data_plan", "no-such.json", "HIGGS_SHOP_DATA_PLAN=no-such.json: use off; plans are not"),
        (
            "database_url",
            "oracle://db/shop",
            "HIGGS_SHOP_DATABASE_URL=oracle://db/shop: use sqlite",
        ),
        ("database_url", "shop.db", "HIGGS_SHOP_DATABASE_URL=shop.db: use sqlite:///<path> or"),
        ("alias_url", "https://alias.example", "the embedded service has its own"),
        ("alias_delay_seconds", "-1", "use a whole number from 0 to 604800"),
        ("webhook_alias_requests", "sometimes", "use on or off"),
        ("permitted_networks", "10.0.0.0/8,lan", "no network: lan; write one like 10.0.0.0/8"),
        ("permitted_networks", "10.0.0.0/33", "no network: 10.0.0.0/33; write one like"),
        (
            "permitted_networks",
            "10.1.2.3/24",
            "10.1.2.3/24 is an address within a network; write 10.1.2.0/24",
        ),
        (
            "webhook_url",
            "http://10.0.0.1/hook",
            "10.0.0.1 is in 10.0.0.0/8 (private), where nothing",
        ),
        ("webhook_url", "http://169.254.169.254/", "unless HIGGS_SHOP_PERMITTED_NETWORKS lists it"),
        ("webhook_url", "http://[::ffff:127.0.0.1]/", "where nothing is sent unless"),
        ("webhook_url", "http://0/", "0.0.0.0 is in 0.0.0.0/8 (this network), where nothing"),
        ("idsync_url", "https://192.168.1.5/v1", "192.168.1.5 is in 192.168.0.0/16 (private)"),
        ("idsync_url", "http://id.example", "plain http leaves this machine; use https"),
        ("idsync_url", "id.example", "use an https URL, or http to a loopback address"),
        ("idsync_url", "https://id.example?a=1", "a base URL has no query"),
        ("idsync_url", "https://id.example:port", "use an https URL"),
        ("idsync_url", "https://[::1", "use an https URL"),
        ("idsync_key", "a key", "HIGGS_SHOP_IDSYNC_KEY=a key: use letters, digits, dots"),
        ("events_url", "https://a.example", "not available in this release; leave it out"),
        ("webhook_url", "ftp://hook.example", "HIGGS_SHOP_WEBHOOK_URL=ftp://hook.example: use an"),
        ("webhook_url", "http://hook.example/#a", "a URL to send to has no fragment"),
        ("webhook_url", "http://hook.example/ä", "use an http or https URL"),
        ("webhook_timeout_seconds", "nan", "use seconds, more than 0 and at most 120"),
        ("identity_budget_seconds", "0", "use seconds, more than 0 and at most 60"),
        ("webhook_retry_seconds", "0,x", "HIGGS_SHOP_WEBHOOK_RETRY_SECONDS=0,x: use whole seconds"),
        ("webhook_retry_seconds", "5,10", "the first attempt is made at once"),
        ("webhook_retry_seconds", ",", "use whole seconds separated by commas"),
        ("identity_strategy", "profile_lnk", "no such strategy; did you mean profile_link?"),
        (
            "identity_strategy",
            "zzz",
            "no such strategy; use default, profile_conversion, profile_link",
        ),
        ("login_ids", "emial", "no such identity type: emial; did you mean email?"),
        ("login_ids", ",", "HIGGS_SHOP_LOGIN_IDS=,: use identity types separated by commas"),
        (
            "unique_ids",
            "email,email",
            "HIGGS_SHOP_UNIQUE_IDS=email,email: twice there: email; name each type once",
        ),
        (
            "login_ids",
            "nose",
            "no such identity type: nose; use some of amp_id, android_aaid,",
        ),
        (
            "immutable_ids",
            "other",
            "no login ID: other; use types that are login IDs and unique IDs too",
        ),
        ("trusted_hosts", "https://a.example", "use host names in small letters"),
        ("trusted_hosts", "*", "HIGGS_SHOP_TRUSTED_HOSTS=*: use host names in small letters"),
    ],
)
def test_a_wrong_value_is_one_line(field: str, value: str, line: str) -> None:
    (found,) = lines_of(**{field: value})

    assert found.startswith(f"{variable(field)}={value}: ")
    assert line in found
    assert "\n" not in found


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("webhook_authorization", "Bearer tea\nX-Other: 1"),
        ("webhook_authorization", "Bearer té"),
        ("webhook_secret", "c2VjcmV0LXRoYXQtaXMtbG9uZy1lbm91Z2g="),
        ("webhook_secret", "whsec_dG9vIHNob3J0"),
        ("webhook_secret", "whsec_not base64 at all, is it?"),
    ],
)
def test_a_wrong_secret_is_not_shown(field: str, value: str) -> None:
    (line,) = lines_of(**{field: value})

    assert line.startswith(f"{variable(field)}=***: use ")
    assert value not in line


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("database_url", "mysql://ann:hush@db/shop"),
        ("database_url", "mysql://db/shop?user=ann&password=hush"),
        ("webhook_url", "https://ann:hush@hook.example/"),
    ],
)
def test_a_password_inside_a_wrong_url_is_not_shown(field: str, value: str) -> None:
    (line,) = lines_of(**{field: value})

    assert "***" in line
    assert "hush" not in line


def test_a_long_or_broken_value_still_makes_one_short_line() -> None:
    (line,) = lines_of(port="1\n" * 500)

    assert "\n" not in line
    assert len(line) < 200


def test_every_wrong_setting_has_its_line_and_the_error_has_them_all() -> None:
    with pytest.raises(SettingsError) as raised:
        Settings(port="abc", threads="many", instance=__file__)

    assert [line.partition("=")[0] for line in raised.value.lines] == [
        "HIGGS_SHOP_PORT",
        "HIGGS_SHOP_THREADS",
        "HIGGS_SHOP_INSTANCE",
    ]
    assert str(raised.value).splitlines() == raised.value.lines


def test_a_misspelt_variable_is_not_silent(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        loaded(tmp_path, PROT="9000", QUARK="up")

    assert raised.value.lines == [
        "HIGGS_SHOP_PROT: no such setting; did you mean HIGGS_SHOP_PORT?",
        "HIGGS_SHOP_QUARK: no such setting",
    ]


def test_secrets_do_not_show_in_a_printout() -> None:
    settings = Settings(
        secret_key="hush-key",
        idsync_secret="hush-idsync",
        webhook_authorization="hush-authorization",
        webhook_secret=SIGNING_SECRET,
        operator_token="hush-token",
        database_url="postgresql://ann:hush-password@db/shop",
    )

    assert "hush" not in repr(settings)
    assert SIGNING_SECRET not in repr(settings)


class TestProduction:
    """What is refused when strangers may come."""

    def test_refuses_the_demo_keys(self) -> None:
        assert lines_of(environment="production") == [
            "HIGGS_SHOP_IDSYNC_KEY=demo-web-key: production refuses the demo's key; use one of your own",
            "HIGGS_SHOP_IDSYNC_SECRET=***: production refuses the demo's secret; use one of your own",
        ]

    def test_refuses_a_short_secret_key(self) -> None:
        (line,) = lines_of(environment="production", secret_key="x" * 31, **OWN_KEYS)

        assert line.startswith("HIGGS_SHOP_SECRET_KEY=***: use at least 32 bytes in production")

    @pytest.mark.parametrize(
        "secret_key", ["", "x" * 32, "ü" * 16], ids=["generated", "32", "utf-8"]
    )
    def test_starts_with_keys_of_its_own(self, secret_key: str) -> None:
        assert Settings(environment="production", secret_key=secret_key, **OWN_KEYS).production

    def test_development_takes_any_key(self) -> None:
        assert Settings(secret_key="short").secret_key.get_secret_value() == "short"

    @pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "localhost", "localhost.", "[::1]"])
    @pytest.mark.parametrize("field", ["webhook_url", "idsync_url"])
    def test_refuses_this_machine_until_it_is_permitted(self, field: str, host: str) -> None:
        own = {"environment": "production", field: f"https://{host}:9000/v1", **OWN_KEYS}

        (line,) = lines_of(**own)

        assert line.startswith(f"{variable(field)}=https://{host}:9000/v1: ")
        assert line.endswith("where nothing is sent unless HIGGS_SHOP_PERMITTED_NETWORKS lists it")
        assert Settings(**own, permitted_networks="127.0.0.0/8,::1").production

    def test_a_wrong_network_is_the_only_thing_that_is_said(self) -> None:
        (line,) = lines_of(webhook_url="http://10.0.0.1/hook", permitted_networks="10.0.0.0/99")

        assert line.startswith("HIGGS_SHOP_PERMITTED_NETWORKS=10.0.0.0/99: ")


class TestReach:
    """Where the store may connect to."""

    def test_loopback_is_within_reach_in_development_alone(self) -> None:
        production = Settings(environment="production", **OWN_KEYS)

        assert Settings().reach.refusal(ip_address("127.0.0.1")) is None
        assert production.reach.refusal(ip_address("127.0.0.1"))

    @pytest.mark.parametrize("environment", ["development", "production"])
    def test_what_is_permitted_is_within_reach_and_nothing_else_private(
        self, environment: str
    ) -> None:
        settings = Settings(environment=environment, permitted_networks="10.1.2.0/24", **OWN_KEYS)

        assert settings.reach.refusal(ip_address("10.1.2.3")) is None
        assert settings.reach.refusal(ip_address("10.1.3.3"))

    def test_a_url_with_a_permitted_address_is_taken(self) -> None:
        url = "http://10.1.2.3/hook"

        assert Settings(webhook_url=url, permitted_networks="10.1.2.3").webhook_url == url
