"""`make screenshot` takes the README's picture."""

import struct
import subprocess
import sys
from pathlib import Path

from tests.browser.store_process import PROJECT


def test_the_picture_can_be_taken_again(tmp_path: Path) -> None:
    file = tmp_path / "picture.png"

    subprocess.run([sys.executable, "-m", "docs.screenshot", str(file)], cwd=PROJECT, check=True)

    head = file.read_bytes()[:24]
    assert head.startswith(b"\x89PNG")
    assert struct.unpack(">II", head[16:]) == (1280, 860)
