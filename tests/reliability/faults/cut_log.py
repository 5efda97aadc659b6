"""A write-ahead log that ends too early (D10): what is left is what was committed first, whole."""

import json
import random
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import select

from higgs_shop import outbox
from higgs_shop.database import Database
from higgs_shop.migrations import upgrade
from higgs_shop.outbox import Draft
from higgs_shop.tables import messages
from tests.reliability.result import Result
from tests.reliability.scene import Scene
from tests.webhook_outputs import an_output

# Few enough for SQLite to leave them all in the log: at a thousand pages it moves them into the file.
_COMMITS: Final = 60
_MESSAGES_EACH: Final = 3
_PEOPLE: Final = 7
_NOW_MS: Final = 1_700_000_000_000


@dataclass(frozen=True)
class Outcome:
    """What was found after so many cuts.

    Attributes:
        missing: cuts after which something was gone that was whole before the cut.
        torn: those after which a part of a commit was there, or a later one without an earlier.
        damaged: those after which SQLite finds the file damaged.
        emptiest: the fewest commits that were left; fullest: the most.
    """

    cuts: int
    missing: int
    torn: int
    damaged: int
    emptiest: int
    fullest: int

    @property
    def is_sound(self) -> bool:
        """Whether nothing was wrong after any of them."""
        return not (self.missing or self.torn or self.damaged)


def cut(folder: Path, *, times: int, chance: random.Random) -> Outcome:
    """Cut copies of a store's log at random bytes, and open each as a store does.

    Args:
        folder: an empty one.
    """
    file = folder / "whole.db"
    database = Database(f"sqlite:///{file}")
    upgrade(database)
    output = an_output(database)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    ends = _commit(database, output.id, _log_of(file))
    # As a power cut would find them: nobody has closed the database.
    copies = {file: folder / "cut.db", _log_of(file): folder / "cut.db-wal"}
    found = []
    for _ in range(times):
        at = chance.randrange(ends[-1] + 1)
        for original, copy in copies.items():
            shutil.copyfile(original, copy)
        with _log_of(folder / "cut.db").open("r+b") as log:
            log.truncate(at)
        found.append(_look(folder / "cut.db", whole=sum(end <= at for end in ends)))
    database.close()
    left = [each.commits for each in found]
    return Outcome(
        cuts=times,
        missing=sum(each.is_missing for each in found),
        torn=sum(each.is_torn for each in found),
        damaged=sum(each.is_damaged for each in found),
        emptiest=min(left),
        fullest=max(left),
    )


def _log_of(file: Path) -> Path:
    return file.with_name(f"{file.name}-wal")


def _commit(database: Database, output_id: int, log: Path) -> list[int]:
    """Commit messages. Returns how long the log was after each commit, in bytes."""
    ends = []
    for number in range(_COMMITS):
        with database.write() as connection:
            outbox.enqueue(
                connection,
                workspace_id="default",
                output_id=output_id,
                mpid=1 + number % _PEOPLE,
                drafts=[Draft(None, partial(_body, number))] * _MESSAGES_EACH,
                now_ms=_NOW_MS + number,
            )
        ends.append(log.stat().st_size)
    return ends


def _body(number: int, sequence: int, webhook_id: str) -> bytes:
    facts = {"commit": number, "sequence": sequence, "webhook_id": webhook_id, "text": "x" * 1_000}
    return json.dumps(facts).encode()


@dataclass(frozen=True)
class _Found:
    commits: int
    is_missing: bool
    is_torn: bool
    is_damaged: bool


def _look(file: Path, *, whole: int) -> _Found:
    database = Database(f"sqlite:///{file}")
    with database.read() as connection:
        bodies = connection.execute(select(messages.c.body).order_by(messages.c.id)).scalars()
        numbers = [json.loads(body)["commit"] for body in bodies]
    database.close()
    with closing(sqlite3.connect(file)) as opened:
        ((verdict,),) = opened.execute("PRAGMA integrity_check").fetchall()
    commits = len(set(numbers))
    return _Found(
        commits=commits,
        is_missing=commits != whole,
        is_torn=numbers != [each for each in range(commits) for _ in range(_MESSAGES_EACH)],
        is_damaged=verdict != "ok",
    )


def random_cuts(scene: Scene) -> list[Result]:
    """D10: a log that is cut at random."""
    outcome = cut(scene.folder, times=scene.size.rounds, chance=random.Random(scene.seed))
    return [
        Result(
            f"log cut at {outcome.cuts} random bytes",
            f"{outcome.emptiest} to {outcome.fullest} of {_COMMITS} commits left,"
            f" {outcome.missing} missing, {outcome.torn} torn, {outcome.damaged} damaged",
            () if outcome.is_sound else (str(outcome),),
        )
    ]
