"""What docs/inbox.md lets people try, tried."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from higgs_shop.inbox import MOST_DELAY_MS, MOST_KEPT, MOST_SEARCHED_BYTES, MOST_SESSIONS, PRESETS
from tests.api.conftest import Store
from tests.browser.store_process import StoreProcess

DOCS: Final = (Path(__file__).parents[2] / "docs/inbox.md").read_text("utf-8")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreProcess]:
    """A store in a process of its own, which is quicker to try again than by default."""
    with StoreProcess(tmp_path_factory.mktemp("store"), WEBHOOK_RETRY_SECONDS="0,1,1") as served:
        yield served


def run(served: StoreProcess, *command: str) -> str:
    """Do it at this store. Returns what was printed."""
    answer = subprocess.run(
        [word.replace("http://127.0.0.1:8000", served.address) for word in command],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_the_commands_do_what_they_are_shown_for(served: StoreProcess) -> None:
    commands = re.findall(r"^    (curl .*)$", DOCS, re.MULTILINE)
    made, dial, listed = (json.loads(run(served, "/bin/sh", "-c", each)) for each in commands)

    assert made["name"] == "checkout tests"
    assert (dial["status"], dial["retry_after_seconds"], dial["times"]) == (503, 7, 2)
    assert listed == {"requests": [], "newest": None, "before": None}


def test_the_example_test_passes(served: StoreProcess) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)
    run(served, sys.executable, "-c", example)


def test_the_table_tells_every_button_as_the_page_of_a_usual_store_does(store: Store) -> None:
    rows = re.findall(r"^\| ([^|`]+?) \| (one [^|]+?) \| ([^|]+?) \|$", DOCS, re.MULTILINE)
    page = store.browser().get("/inbox")
    shown = {each["data-preset"]: each.text for each in page.all("inbox-preset-meaning")}
    assert rows == [
        (preset.label, preset.meaning, shown[name])
        for name, preset in PRESETS.items()
        if name != "usual"
    ]


def test_the_bounds_are_those_in_force() -> None:
    bounds: list[Any] = [MOST_KEPT, MOST_SESSIONS, MOST_DELAY_MS, MOST_SEARCHED_BYTES // 1_024]
    assert [bound for bound in bounds if f"{bound:,}" not in DOCS] == []
