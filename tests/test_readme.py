"""README.md is true: its settings, its commands, its links."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from higgs_shop.command_line import main
from higgs_shop.settings import Settings, variable

PROJECT = Path(__file__).parents[1]
README = (PROJECT / "README.md").read_text("utf-8")
DOCS = sorted((PROJECT / "docs").rglob("*.md"))
NAMED_DEFAULTS = {
    "instance": "`instance/` in the project, else the user's data folder",
    "database_url": "SQLite file in the instance folder",
    "identity_priority": "the documented order",
    "login_ids": "the strategy's",
    "unique_ids": "the strategy's",
}


def settings_table() -> str:
    """The table as the README has to have it."""
    lines = ["| Variable | Default | |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        default = NAMED_DEFAULTS.get(name) or spelt(field.default)
        lines.append(f"| `{variable(name)}` | {default} | {field.description} |")
    return "\n".join(lines)


def spelt(default: object) -> str:
    if default is False:
        return "off"
    if isinstance(default, tuple):
        return f"`{','.join(str(part) for part in default)}`" if default else "empty"
    return f"`{default}`" if default != "" else "empty"


def commands() -> list[str]:
    """Every line of every shell block."""
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


def test_the_settings_table_is_what_the_settings_say() -> None:
    assert settings_table() in README, f"put this into README.md:\n{settings_table()}"


@pytest.mark.parametrize(
    "document", [PROJECT / "README.md", *DOCS], ids=lambda path: str(path.relative_to(PROJECT))
)
def test_every_link_to_a_file_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", document.read_text("utf-8"))
    broken = [link for link in links if "://" not in link and not (document.parent / link).exists()]

    assert broken == []


@pytest.mark.parametrize(
    "command", sorted({line for line in commands() if line.startswith("higgs-shop")})
)
def test_commands_of_the_command_line_exist_as_written(command: str) -> None:
    words = [word for word in shlex.split(command)[1:] if word != "--help"]

    result = CliRunner().invoke(main, [*words, "--help"])

    assert result.exit_code == 0, result.output


def test_make_knows_every_target_that_is_named() -> None:
    named = set(re.findall(r"\bmake ([a-z]+)\b", README.replace("and make.", "")))
    makefile = (PROJECT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE))

    assert {"run", "test", "check", "bench", "screenshot"} <= named
    assert named <= targets


def test_the_words_for_those_without_make_are_those_of_make() -> None:
    """What they install is proven by test_packaging; here, that it is pinned alike."""
    assert ".venv/bin/pip install -c requirements.txt ." in commands()
    assert "-c requirements.txt" in (PROJECT / "Makefile").read_text("utf-8")


def test_the_package_starts_as_the_readme_says(tmp_path: Path) -> None:
    version = subprocess.run(
        [sys.executable, "-m", "higgs_shop", "--version"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )

    assert "0.1.0" in version.stdout
