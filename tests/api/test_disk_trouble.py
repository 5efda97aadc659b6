"""Disks that are full, files that are locked, logs that are cut: what was acknowledged is there afterwards."""

import random
from pathlib import Path

from tests.reliability.faults import cut_log, disk


def test_a_full_disk_is_a_503_and_is_over_when_there_is_room(
    tmp_path: Path, dice: random.Random
) -> None:
    outcome = disk.fill_disk(tmp_path, times=2, chance=dice)
    assert outcome.is_sound, outcome


def test_a_locked_database_is_a_503_and_is_over_when_it_is_let_go(tmp_path: Path) -> None:
    outcome = disk.lock_file(tmp_path, seconds=0)
    assert outcome.is_sound, outcome


def test_a_log_that_ends_too_early_leaves_whole_commits_in_their_order(
    tmp_path: Path, dice: random.Random
) -> None:
    outcome = cut_log.cut(tmp_path, times=10, chance=dice)
    assert outcome.is_sound, outcome
