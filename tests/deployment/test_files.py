"""What docs/deployment.md says beside its services fits its files."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.deployment.services import FILES, environment_file

DOCUMENT: Final = FILES.parent / "deployment.md"


def values(file: str, name: str) -> list[str]:
    """What a unit sets something to."""
    return re.findall(rf"^{name}=(.+)$", (FILES / file).read_text("utf-8"), re.MULTILINE)


def test_the_proxy_is_told_the_name_that_the_store_answers_to() -> None:
    (given,) = values("caddy.conf", "Environment")
    site = given.removeprefix("HIGGS_SHOP_SITE=")
    assert site in environment_file()["HIGGS_SHOP_TRUSTED_HOSTS"].split(",")
    adapted = subprocess.run(
        [
            Path(sys.executable).with_name("caddy"),
            *("adapt", "--config", FILES / "Caddyfile", "--adapter", "caddyfile"),
        ],
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "HIGGS_SHOP_SITE": site},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f'"host":["{site}"]' in adapted.stdout


def test_commands_beside_it_have_the_user_and_the_settings_of_the_services(tmp_path: Path) -> None:
    (line,) = re.findall(r"^    (systemd-run .+)$", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    _, *words = shlex.split(line)
    options = [word for word in words if word.startswith("--")]
    program, *arguments = words[len(options) :]
    unit = "higgs-shop.service"
    (file,) = values(unit, "EnvironmentFile")
    assert [f"--uid={user}" for user in values(unit, "User")] == options[:1]
    assert options[1] == f"--property=EnvironmentFile={file}"
    assert [command.split()[0] for command in values(unit, "ExecStart")] == [program]
    ran = subprocess.run(
        [sys.executable, "-m", "higgs_shop", *arguments],
        env={"PATH": os.environ["PATH"], "HIGGS_SHOP_INSTANCE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == "The database is up to date.\n"
