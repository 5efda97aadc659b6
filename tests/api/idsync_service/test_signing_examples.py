"""The signed calls that docs/identity.md shows, made as they stand there."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.api.conftest import Store

DOCUMENT = Path(__file__).parents[3] / "docs" / "identity.md"
AT_LINE_ENDS = r"printf '%s\n' "
AS_PRINTED = """
def show(call):
    print(call.selector, *(f"{name}: {value}" for name, value in call.header_items()),
          call.data.decode(), sep="\\n")
    raise SystemExit
urllib.request.urlopen = show
"""


def example(language: str) -> str:
    """The one example in this language."""
    (found,) = re.findall(
        rf"^```{language}\n(.*?)^```$", DOCUMENT.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    return str(found)


def by_shell() -> tuple[str, dict[str, str], str]:
    """Path, headers and body that the shell's lines would send; only curl is another one."""
    script = f'curl() {{ {AT_LINE_ENDS}"$@"; }}\n{example("sh")}'
    words = run(["sh", "-c", script])
    headers = [words[place + 1] for place, word in enumerate(words) if word == "-H"]
    (url,) = [word for word in words if word.startswith("http://")]
    return path_of(url), dict(header.split(": ", 1) for header in headers), words[-1]


def by_python() -> tuple[str, dict[str, str], str]:
    """Path, headers and body that the lines of Python would send."""
    imports, _, rest = example("python").partition("\n\n")
    path, *headers, body = run([sys.executable, "-c", f"{imports}\n{AS_PRINTED}\n{rest}"])
    return path, dict(header.split(": ", 1) for header in headers), body


def run(command: list[str]) -> list[str]:
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return ran.stdout.splitlines()


def path_of(url: str) -> str:
    return url.removeprefix("http://127.0.0.1:8000")


def call(client: FlaskClient, path: str, headers: dict[str, str], body: str) -> int:
    return client.post(path, headers=headers, data=body.encode()).status_code


@pytest.mark.parametrize("sent_by", [by_shell, by_python])
def test_the_example_is_let_in_and_nothing_else_under_its_signature(
    store: Store, sent_by: type
) -> None:
    store.clock.now_ms = time.time_ns() // 1_000_000
    client = store.app.test_client(use_cookies=False)
    path, headers, body = sent_by()
    assert {name.lower() for name in headers} >= {"x-mp-key", "date", "x-mp-signature"}
    assert call(client, path, headers, body) == 200
    assert call(client, f"{path}?return_matches=false", headers, body) == 200
    assert call(client, path, headers, body.replace("C-1001", "C-1002")) == 401
    assert call(client, path.replace("identify", "login"), headers, body) == 401
