"""What is acknowledged is delivered, whoever is killed, at a twentieth of the size of `make crash`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.reliability.crash.programs import Nursery
from tests.reliability.scene import Scene
from tests.reliability.targets import CRASHES, Target

SEED: Final = 20_261_126


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as nursery:
        yield nursery


@pytest.mark.parametrize("seed", [SEED])
@pytest.mark.parametrize("target", CRASHES, ids=lambda target: target.name)
def test_what_was_acknowledged_is_delivered_once_in_order_and_unaltered(
    nursery: Nursery, tmp_path: Path, target: Target, seed: int
) -> None:
    scene = Scene(nursery, tmp_path, seed, target.everyday, on_progress=lambda _: None)

    (result,) = target.run(scene)

    again = f"make crash ARGS='--size everyday --seed {seed} {target.name}'"
    assert result.faults == (), f"again: {again}\n{result}"
