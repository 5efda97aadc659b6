"""How a profile came to be, as its page tells it, newest first.

Decisions that follow one another and say the same, as those of a device that comes back, are one entry.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Connection

from higgs_shop.idsync_service import history
from higgs_shop.idsync_service.history import Chapter, TakenStep
from higgs_shop.showing.short import short_mpid
from higgs_shop.showing.steps import step_view

_MOST_ENTRIES: Final = 20
_MOST_READ: Final = 100


@dataclass(frozen=True)
class Timeline:
    """What is shown of a profile's history.

    Attributes:
        entries: for the template.
        goes_on_before: the decision before which there are older ones; None: there are none.
    """

    entries: Sequence[dict[str, Any]]
    goes_on_before: int | None


def timeline_of(
    connection: Connection, workspace_id: str, mpid: int, *, before_id: int | None
) -> Timeline:
    """The newest part of a profile's history, or the part before a decision."""
    read = history.history_of(
        connection, workspace_id, mpid, before_id=before_id, most=_MOST_READ + 1
    )
    runs = [list(run) for _, run in groupby(read[:_MOST_READ], _sameness)]
    shown = runs[:_MOST_ENTRIES]
    last = shown[-1][-1] if shown else None
    goes_on = last is not None and last is not read[-1]
    return Timeline([_entry(run) for run in shown], last.id if last and goes_on else None)


def _sameness(chapter: Chapter) -> Any:
    """Equal for decisions that need not be told apart: somebody was found again, in the same way."""
    if chapter.outcome != "returned" or chapter.action == "modify":
        return chapter.id
    told = tuple(step.text for step in chapter.told)
    return chapter.action, chapter.previous_mpid, chapter.strategy, chapter.asked, told


def _entry(run: Sequence[Chapter]) -> dict[str, Any]:
    newest, *others = run
    return {
        **_chapter(newest),
        "times": len(run),
        "first_at_ms": run[-1].decided_at_ms,
        "others": [_chapter(chapter) for chapter in others],
    }


def _chapter(chapter: Chapter) -> dict[str, Any]:
    return {
        "action": chapter.action,
        "outcome": chapter.outcome,
        "strategy": chapter.strategy,
        "decided_at_ms": chapter.decided_at_ms,
        "mpid": str(chapter.mpid),
        "mpid_short": short_mpid(chapter.mpid),
        "previous_mpid": None if chapter.previous_mpid is None else str(chapter.previous_mpid),
        "previous_mpid_short": short_mpid(chapter.previous_mpid),
        "came_from_another": chapter.previous_mpid not in (None, chapter.concerns),
        "is_changed": bool(chapter.effects),
        "asked": [{"type": name, "old": old, "new": new} for name, old, new in chapter.asked],
        "told": [_step(step) for step in chapter.told],
        "steps": [_step(step) for step in chapter.steps],
    }


def _step(step: TakenStep) -> dict[str, Any]:
    return step_view(step.rule, step.text, step.mpids)
