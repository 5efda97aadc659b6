"""Generated secrets: made once, kept private, the same for everybody who starts at once."""

import base64
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from higgs_shop.instance_secrets import InstanceSecrets, load_secrets
from higgs_shop.settings import Settings, SettingsError

STARTERS = 8


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(instance=tmp_path / "instance")


def test_are_made_once_and_kept(settings: Settings) -> None:
    first = load_secrets(settings)

    assert load_secrets(settings) == first
    assert len({first.secret_key, first.webhook_secret, first.inbox_token}) == 3


def test_are_strong_enough_for_production(settings: Settings) -> None:
    made = load_secrets(settings)

    Settings(
        environment="production",
        idsync_key="own",
        idsync_secret="own",
        secret_key=made.secret_key,
        webhook_secret=made.webhook_secret,
    )
    key = base64.b64decode(made.webhook_secret.removeprefix("whsec_"), validate=True)
    assert len(key) == 32
    assert len(made.inbox_token) == 32


def test_files_are_for_their_owner_only(settings: Settings) -> None:
    load_secrets(settings)

    modes = {file.name: file.stat().st_mode & 0o777 for file in settings.instance.iterdir()}
    assert modes == {"secret_key": 0o600, "webhook_secret": 0o600, "inbox_token": 0o600}
    assert settings.instance.stat().st_mode & 0o077 == 0


def test_a_given_secret_is_used_and_not_kept(tmp_path: Path) -> None:
    given = Settings(
        instance=tmp_path,
        secret_key="given",
        webhook_secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    )

    in_force = load_secrets(given)

    assert in_force.secret_key == "given"
    assert in_force.webhook_secret == "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert [file.name for file in tmp_path.iterdir()] == ["inbox_token"]


def test_processes_that_start_at_once_agree(settings: Settings) -> None:
    """Each holds its random bytes back until all have found no file, then all write."""
    barrier = Barrier(STARTERS)

    def start(number: int) -> InstanceSecrets:
        def random_bytes(length: int) -> bytes:
            barrier.wait(timeout=10)
            return bytes([number]) * length

        return load_secrets(settings, random_bytes)

    with ThreadPoolExecutor(STARTERS) as pool:
        results = set(pool.map(start, range(STARTERS)))

    assert len(results) == 1


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(SettingsError, match=r"^HIGGS_SHOP_INSTANCE=.*cannot keep secret_key there"):
        load_secrets(Settings(instance=tmp_path / "file" / "instance"))


def test_an_emptied_secret_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "secret_key").touch()

    with pytest.raises(SettingsError, match="secret_key: is empty; delete it"):
        load_secrets(Settings(instance=tmp_path))


def test_secrets_do_not_show_in_a_printout(settings: Settings) -> None:
    made = load_secrets(settings)

    assert repr(made) == "InstanceSecrets()"
