"""Finds the Chromium that the browser tests drive, and installs one where there is none.

`python -m tests.install_browser` prints its path. A system Chromium or Chrome comes first, then
Playwright's own download, then the distribution's package. Quiet and quick when one is present.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.installing import NotInstalled, attempt, print_path

SYSTEM_NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)


class NoBrowser(NotInstalled):
    """There is no browser here, and none could be installed."""


def find_browser() -> Path | None:
    """The browser to test with, if there is one: the system's, else Playwright's own."""
    return next(filter(_starts, _candidates()), None)


def install_browser() -> Path:
    """The browser to test with, installed if need be. Raises NoBrowser."""
    if browser := find_browser():
        return browser
    for install in (_playwright_download, _distribution_package):
        install()
        if browser := find_browser():
            return browser
    raise NoBrowser("no Chromium here and none could be installed; install Chromium or Chrome")


def _candidates() -> Iterator[Path]:
    for name in SYSTEM_NAMES:
        if found := shutil.which(name):
            yield Path(found)
    yield _playwright_browser()


def _starts(browser: Path) -> bool:
    """Whether it runs at all: stubs and missing system libraries show here."""
    if not browser.is_file():
        return False
    answer = subprocess.run([browser, "--version"], capture_output=True, check=False, timeout=60)
    return answer.returncode == 0 and b"Chrom" in answer.stdout


def _playwright_browser() -> Path:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 (slow, and seldom needed)

    with sync_playwright() as playwright:
        return Path(playwright.chromium.executable_path)


def _playwright_download() -> None:
    attempt("browser", [sys.executable, "-m", "playwright", "install", "chromium"])


def _distribution_package() -> None:
    if not shutil.which("apt-get"):
        return
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    attempt("browser", [*as_root, "apt-get", "update"])
    attempt(
        "browser", [*as_root, "apt-get", "install", "-y", "--no-install-recommends", "chromium"]
    )


if __name__ == "__main__":
    sys.exit(print_path(install_browser))
