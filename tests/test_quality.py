"""The checks that are programs: format, lint and types. `make check` runs them one by one."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
SOURCES = ("higgs_shop", "tests", "benchmarks")


@pytest.mark.parametrize(
    "tool",
    [
        pytest.param(("ruff", "format", "--check"), id="format"),
        pytest.param(("ruff", "check"), id="lint"),
        pytest.param(("mypy", "--strict"), id="types"),
    ],
)
def test_the_code_passes(tool: tuple[str, ...]) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", *tool, *SOURCES],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert answer.returncode == 0, f"\n{answer.stdout}{answer.stderr}"
