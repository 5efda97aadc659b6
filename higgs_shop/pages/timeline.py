"""Not a page: how a profile came to be, as its page tells it, newest first.

Decisions that follow one another and say the same, as those of a device that comes back, are one entry.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from flask import request
from sqlalchemy import Connection

from higgs_shop.idsync_service import history
from higgs_shop.idsync_service.history import Chapter, TakenStep
from higgs_shop.pages.looked_into import url_within
from higgs_shop.pages.short import short_mpid
from higgs_shop.pages.steps import step_view

_MOST_ENTRIES: Final = 20
_MOST_READ: Final = 100


@dataclass(frozen=True)
class Timeline:
    """What is shown of a profile's history: entries for the template, and where it goes on."""

    entries: Sequence[dict[str, Any]]
    older_url: str | None


def timeline_of(connection: Connection, workspace_id: str, mpid: int) -> Timeline:
    """The newest part of a profile's history, or the part before the decision that the address names."""
    read = history.history_of(
        connection, workspace_id, mpid, before_id=_before_id(), most=_MOST_READ + 1
    )
    runs = [list(run) for _, run in groupby(read[:_MOST_READ], _sameness)]
    shown = runs[:_MOST_ENTRIES]
    last = shown[-1][-1] if shown else None
    older_url = None
    if last is not None and last is not read[-1]:
        older_url = url_within(
            "profiles.show_profile", mpid=mpid, history_before=last.id, _anchor="history"
        )
    return Timeline([_entry(run) for run in shown], older_url)


def _before_id() -> int | None:
    before = request.args.get("history_before", type=int)
    return before if before is not None and 0 < before < 2**53 else None


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
