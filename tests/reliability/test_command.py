"""The command and its page: what is tried, how much of it, and what a run says."""

import shlex
from contextlib import nullcontext
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.reliability import __main__ as command
from tests.reliability.result import Result
from tests.reliability.scene import Scene, Size
from tests.reliability.targets import TARGETS, Target

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


def run(*arguments: str) -> tuple[int, str]:
    """The command's exit code, and what it printed with single spaces."""
    answer = CliRunner().invoke(command.main, arguments)
    return answer.exit_code, " ".join(answer.output.split())


def pretend(monkeypatch: pytest.MonkeyPatch, *faults: str) -> list[Scene]:
    """D1 is tried by noting its scene, and finds what is given."""
    scenes: list[Scene] = []

    def try_nothing(scene: Scene) -> list[Result]:
        scenes.append(scene)
        scene.on_progress(1.0)
        return [Result("first", "1 found", ()), Result("second", "2 found", faults)]

    target = Target("D1", "pretended", try_nothing, full=Size(1_000), everyday=Size(50))
    monkeypatch.setattr(command, "TARGETS", [target])
    monkeypatch.setattr(command, "Nursery", nullcontext)
    return scenes


def test_a_run_prints_its_seed_and_a_line_for_each_thing_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scenes = pretend(monkeypatch)

    exit_code, said = run("D1", "--seed", "7")

    assert exit_code == 0
    assert said.startswith("seed 7, full size")
    assert said.endswith("D1 first 1 found holds D1 second 2 found holds")
    assert [(each.seed, each.size.rounds) for each in scenes] == [(7, 1_000)]


def test_each_run_has_a_seed_of_its_own_and_everyday_is_smaller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scenes = pretend(monkeypatch)

    said = [run("--size", "everyday")[1] for _ in range(3)]

    assert len({each.seed for each in scenes}) > 1
    assert [each.size.rounds for each in scenes] == [50, 50, 50]
    assert all(f"seed {each.seed}, " in text for each, text in zip(scenes, said, strict=True))


def test_a_broken_promise_is_told_and_ends_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "4 events are lost")

    exit_code, said = run()

    assert exit_code == 1
    assert "D1 pretended: BROKEN 4 events are lost" in said
    assert said.endswith("D1 first 1 found holds D1 second 2 found BROKEN")


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_the_page_names_each_target_with_its_sizes_and_what_was_found(target: Target) -> None:
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if f"| {target.name} |" in line]

    assert len(rows) == 2
    for size in (target.full, target.everyday):
        numbers = [size.rounds, size.events, size.stops]
        assert all(f"{number:,}" in rows[0] for number in numbers if number > 2)


def test_the_page_shows_the_command_as_it_is() -> None:
    exit_code, said = run("--help")

    assert exit_code == 0
    for words in ("--seed", "--size", "[D1|D2|D3|D13|D14|D15|X3|D5|D9|D10-disk|D10-log|D16]"):
        assert words in said
    assert '`make crash ARGS="--seed 7 D1 D3"`' in PAGE.read_text("utf-8")


def test_a_fault_is_tried_as_the_page_shows() -> None:
    shown = '    make crash ARGS="--size everyday --seed 7 D9"\n'
    assert shown in PAGE.read_text("utf-8")
    arguments = shlex.split(shown)[-1].removeprefix("ARGS=")

    exit_code, said = run(*arguments.split())

    assert exit_code == 0, said
    assert said.startswith("seed 7, everyday size D9 bodies signed with two secrets: holds")
    assert "50 bodies, 50 arrived, 0 altered" in said
