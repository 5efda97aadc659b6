"""`python -m tests.faults`, as docs/reliability.md has it."""

from pathlib import Path

from click.testing import CliRunner

from tests.faults.__main__ import TARGETS, main

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


def test_it_prints_its_seed_and_what_was_found() -> None:
    assert "python -m tests.faults --size everyday" in PAGE.read_text("utf-8")

    answer = CliRunner().invoke(main, ["--size", "everyday", "--seed", "7", "D9"])

    assert answer.exit_code == 0, answer.output
    assert answer.output.startswith("seed 7, everyday size")
    assert "holds" in answer.output


def test_everyday_is_a_twentieth() -> None:
    assert [(each.name, each.full // each.everyday) for each in TARGETS] == [
        (each.name, 20) for each in TARGETS
    ]
