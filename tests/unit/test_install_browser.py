"""The browser for the tests: the one that is here, else installed, cheapest way first."""

from pathlib import Path

import pytest

from tests import install_browser
from tests.installing import print_path

PLAYWRIGHT = "playwright install chromium"
PACKAGE = "apt-get install -y --no-install-recommends chromium"


@pytest.fixture
def browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a browser will be, on a machine that has none yet but could be given a package."""
    place = tmp_path / "chromium"
    monkeypatch.setattr(install_browser, "_candidates", lambda: iter([place]))
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    return place


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The installations tried, none of which brings anything."""
    tried: list[str] = []
    monkeypatch.setattr(
        install_browser, "attempt", lambda _what, command: tried.append(" ".join(command))
    )
    return tried


def put(browser: Path, script: str = "echo Chromium 150.0") -> None:
    browser.write_text(f"#!/bin/sh\n{script}\n")
    browser.chmod(0o755)


def test_a_browser_that_is_here_is_taken(browser: Path, attempts: list[str]) -> None:
    put(browser)

    assert install_browser.install_browser() == browser
    assert attempts == []


def test_a_stub_that_does_not_start_is_no_browser(browser: Path) -> None:
    put(browser, "echo 'install the snap' >&2; exit 1")

    assert install_browser.find_browser() is None


@pytest.mark.usefixtures("browser")
def test_the_download_is_tried_before_the_package(attempts: list[str]) -> None:
    with pytest.raises(install_browser.NoBrowser, match="install Chromium or Chrome"):
        install_browser.install_browser()

    assert attempts[0].endswith(PLAYWRIGHT)
    assert attempts[-1].endswith(PACKAGE)


def test_nothing_more_is_tried_once_there_is_one(
    browser: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[list[str]] = []

    def download(_what: str, command: list[str]) -> None:
        tried.append(command)
        put(browser)

    monkeypatch.setattr(install_browser, "attempt", download)

    assert install_browser.install_browser() == browser
    assert len(tried) == 1


@pytest.mark.usefixtures("browser", "attempts")
def test_the_command_says_what_is_missing_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_path(install_browser.install_browser) == 1
    assert "install Chromium or Chrome" in capsys.readouterr().err


def test_the_command_prints_the_path(browser: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(browser)

    assert print_path(install_browser.install_browser) == 0
    assert capsys.readouterr().out == f"{browser}\n"
