"""The benchmarks run, and print what they promise. What they measure is not judged here."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.__main__ import BENCHMARKS, main
from benchmarks.measuring import Row, Size, at_least, at_most, exactly, shown

DOCS = Path(__file__).parent.parent / "docs" / "performance.md"
TINY = Size(requests=2, page_views=4, starts=1, profiles=100, events=20, outage_seconds=1)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_measures_something(name: str) -> None:
    rows = BENCHMARKS[name](TINY)

    assert rows
    assert all(row.name and row.figure for row in rows)
    assert all((row.is_met is None) == (not row.goal) for row in rows)


def test_the_table_has_a_line_for_each_row() -> None:
    printed = CliRunner().invoke(main, ["identity", "--requests", "2"])

    assert printed.exit_code == 0, printed.output
    for heading in ("figure", "goal", "met"):
        assert heading in printed.output
    assert "new identify" in printed.output


def test_every_benchmark_is_explained() -> None:
    explained = DOCS.read_text()

    assert [name for name in BENCHMARKS if f"`{name}`" not in explained] == []


def test_a_row_says_whether_its_goal_is_met() -> None:
    assert at_most("page", 1.25, 1.5) == Row("page", "1.25", "≤ 1.50", is_met=True)
    assert at_most("page", 1.75, 1.5, unit=" s", note="slow").figure == "1.75 s (slow)"
    assert at_most("page", 1.75, 1.5).is_met is False
    assert at_least("rate", 0.4, 0.5) == Row("rate", "0.40", "≥ 0.50", is_met=False)
    assert exactly("writes", 2, 1) == Row("writes", "2", "1", is_met=False)


@pytest.mark.parametrize(
    ("value", "text"), [(1, "1"), (1.5, "1.50"), (1_234.5, "1,234"), (99.99, "99.99")]
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert shown(value) == text
