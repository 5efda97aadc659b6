"""The folder list is the architecture diagram: who may import whom, and what a package offers."""

import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import higgs_shop

PROJECT = Path(__file__).parent.parent
PACKAGES = [
    module.name
    for module in pkgutil.iter_modules(higgs_shop.__path__, "higgs_shop.")
    if module.ispkg and module.name != "higgs_shop.migrations"
]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Hold the `higgs_shop` package of a folder against this project's contracts."""
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-logo",
            "--no-cache",
            f"--config={PROJECT / 'pyproject.toml'}",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_imports_keep_to_the_contracts() -> None:
    answer = lint_imports(PROJECT)

    assert answer.returncode == 0, f"\n{answer.stdout}{answer.stderr}"


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("identity_client", "import higgs_shop.idsync_service"),
        ("tracker", "from higgs_shop import wiring"),
        ("outbox", "from higgs_shop.webhook_output import worker"),
        ("database", "from higgs_shop import settings"),
        ("shop", "import flask"),
        ("wiring", "from flask_login import current_user"),
        ("tracker", "import httpx"),
        ("helpers", ""),
    ],
)
def test_the_contracts_catch_what_they_forbid(tmp_path: Path, module: str, line: str) -> None:
    """A skeleton of the package, in order but for one line (or one module that has no place)."""
    package = tmp_path / "higgs_shop"
    package.mkdir()
    for name in ("__init__", "wiring", "shop", "identity_client", "tracker", "outbox", "settings"):
        (package / f"{name}.py").touch()
    (package / "idsync_service.py").touch()
    (package / "webhook_output").mkdir()
    (package / "webhook_output" / "__init__.py").touch()
    (package / "webhook_output" / "worker.py").touch()
    (package / "database.py").write_text("class Database: ...\n")
    assert lint_imports(tmp_path).returncode == 0

    (package / f"{module}.py").write_text(f"{line}\n")

    answer = lint_imports(tmp_path)
    assert answer.returncode == 1
    assert "BROKEN" in answer.stdout


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_lists_what_it_offers(name: str) -> None:
    package = importlib.import_module(name)
    imported = {
        public
        for public, value in vars(package).items()
        if not public.startswith("_") and not inspect.ismodule(value)
    }

    assert imported == set(getattr(package, "__all__", ()))
