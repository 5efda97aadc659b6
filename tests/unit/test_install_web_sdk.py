"""How the tests come by the official Web SDK: found, installed by npm, or said to be missing."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests import install_web_sdk
from tests.install_web_sdk import NoWebSdk, find_web_sdk

PINNED = json.loads((install_web_sdk.PINNED / "package.json").read_text("utf-8"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where it would be installed; nothing is there yet."""
    folder = tmp_path / "web_sdk"
    monkeypatch.setattr(install_web_sdk, "_INSTALLED", folder)
    return folder


def put(folder: Path, version: str = PINNED["dependencies"]["@mparticle/web-sdk"]) -> Path:
    """Put an SDK of a version there."""
    package = folder / "node_modules/@mparticle/web-sdk"
    script = package / "dist/mparticle.js"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.touch()
    (package / "package.json").write_text(json.dumps({"version": version}))
    return script


def test_one_that_is_there_is_found(folder: Path) -> None:
    assert find_web_sdk() is None
    assert put(folder) == find_web_sdk()


def test_another_version_is_none(folder: Path) -> None:
    put(folder, "2.0.0")
    assert find_web_sdk() is None


def test_npm_installs_what_is_pinned(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Sequence[str | Path]] = []

    def npm(_what: str, command: Sequence[str | Path]) -> None:
        tried.append(command)
        put(folder)

    monkeypatch.setattr(install_web_sdk, "attempt", npm)
    monkeypatch.setattr("shutil.which", lambda _name, path=None: "/there/npm")  # noqa: ARG005
    assert install_web_sdk.install_web_sdk() == find_web_sdk()
    assert tried[0][:2] == ["/there/npm", "ci"]
    assert (folder / "package-lock.json").is_file()
    assert install_web_sdk.install_web_sdk() == find_web_sdk()
    assert len(tried) == 1


def test_where_there_is_no_npm_one_comes_from_a_python_package(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Sequence[str | Path]] = []

    def attempt(_what: str, command: Sequence[str | Path]) -> None:
        tried.append(command)
        if "ci" in command:
            put(folder)

    monkeypatch.setattr(install_web_sdk, "attempt", attempt)
    monkeypatch.setattr("shutil.which", lambda _name, path=None: path and f"{path}/npm")
    assert install_web_sdk.install_web_sdk() == find_web_sdk()
    assert tried[0][-1] == install_web_sdk.NPM_PACKAGE
    assert str(tried[1][0]).endswith("/npm")


@pytest.mark.usefixtures("folder")
def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install_web_sdk, "attempt", lambda _what, _command: None)
    with pytest.raises(NoWebSdk, match="npm ci"):
        install_web_sdk.install_web_sdk()
    monkeypatch.setattr("shutil.which", lambda _name, path=None: None)  # noqa: ARG005
    with pytest.raises(NoWebSdk, match=r"install Node\.js"):
        install_web_sdk.install_web_sdk()


def test_the_lock_names_no_registry() -> None:
    lock = (install_web_sdk.PINNED / "package-lock.json").read_text("utf-8")
    assert "resolved" not in lock
    assert "://" not in lock
