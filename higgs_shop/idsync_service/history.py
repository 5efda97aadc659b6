"""How a profile came to be: the decisions that were about it, in the words in which they were taken.

Only reads. A decision concerns the profile that it answered with, the one that it moved on from, and
those from which it took identities away.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import Connection, bindparam, select

from higgs_shop.tables import decision_profiles, identity_decisions

Outcome = Literal["made", "converted", "changed", "returned", "left", "lost", "orphaned", "aliased"]
"""What a decision meant for a profile: made by it, converted into a known one, identities changed,
returned as it was, moved on from to another one, identities lost to another one, the last one lost;
part of an alias, on either side."""

_CHANGES: Final = frozenset({"identity_added", "identity_replaced", "identity_removed"})
_EFFECTS: Final = _CHANGES | {
    "profile_created",
    "anonymous_profile_converted",
    "new_profile_linked",
    "unique_identity_taken",
    "orphaned",
    "old_value_ignored",
    "alias_accepted",
    "alias_dropped",
    "alias_carried_out",
}
_DECIDING: Final = frozenset(
    {
        "previous_mpid_preferred",
        "most_recently_seen_preferred",
        "smallest_mpid_preferred",
        "returned",
        "nobody_found",
        "new_person",
        "new_person_beside_known",
        "new_profile_at_logout",
        "returned_at_logout",
        "anonymous_profile_converted",
        "new_profile_linked",
    }
)
_TO_OTHERS: Final = frozenset({"unique_identity_taken", "orphaned"})


@dataclass(frozen=True, slots=True)
class TakenStep:
    """One step of a decision, as it was stored; `mpids` are the profiles that it names."""

    rule: str
    text: str
    identity_type: str | None
    mpids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Chapter:
    """One decision, as a part of one profile's history.

    Attributes:
        id: numbers the decisions in their order.
        concerns: the profile whose history it is.
        mpid: the profile that the call was answered with; for a modify, the one that it changed.
        previous_mpid: the profile moved from, if the request named one.
        strategy: by which it was decided; None where none had a say.
        asked: (type, old value, new value) of what the request gave; only a modify has old values.
    """

    id: int
    concerns: int
    action: str
    decided_at_ms: int
    mpid: int
    previous_mpid: int | None
    strategy: str | None
    asked: tuple[tuple[str, str | None, str | None], ...]
    steps: tuple[TakenStep, ...]

    @property
    def effects(self) -> tuple[TakenStep, ...]:
        """The steps that made this profile what it is."""
        return tuple(
            step for step in self.steps if step.rule in _EFFECTS and self.concerns in step.mpids
        )

    @property
    def told(self) -> tuple[TakenStep, ...]:
        """The steps that say why: what decided, what that did to this profile, and, where the call was
        answered with it, what others lost to it.
        """
        effects = self.effects
        is_answer = self.mpid == self.concerns
        told = tuple(
            step
            for step in self.steps
            if step in effects or step.rule in _DECIDING or (is_answer and step.rule in _TO_OTHERS)
        )
        # What decided says already that somebody new was made.
        return tuple(step for step in told if step.rule != "profile_created") or told

    @property
    def outcome(self) -> Outcome:
        """What the decision meant for this profile."""
        rules = {step.rule for step in self.effects}
        if self.action == "alias":
            return "aliased"
        if "orphaned" in rules:
            return "orphaned"
        if self.mpid != self.concerns:
            return "lost" if "unique_identity_taken" in rules else "left"
        if "profile_created" in rules:
            return "made"
        if "anonymous_profile_converted" in rules:
            return "converted"
        return "changed" if rules & _CHANGES else "returned"


def history_of(
    connection: Connection,
    workspace_id: str,
    mpid: int,
    *,
    before_id: int | None = None,
    most: int,
) -> list[Chapter]:
    """The newest decisions about a profile, newest first; with `before_id`, those before that one."""
    values = {
        "workspace": workspace_id,
        "about_mpid": mpid,
        "before_id": _AFTER_ALL if before_id is None else before_id,
        "most": most,
    }
    # Each look-up has its own index; one statement with OR would be answered from none.
    rows = {
        row.id: row
        for statement in (_ANSWERED_WITH, _MOVED_ON_FROM, _TAKEN_FROM)
        for row in connection.execute(statement, values)
    }
    newest = sorted(rows, reverse=True)[:most]
    return [_chapter(rows[number], mpid) for number in newest]


def _chapter(row: Any, concerns: int) -> Chapter:
    return Chapter(
        row.id,
        concerns,
        row.action,
        row.decided_at_ms,
        row.mpid,
        row.previous_mpid,
        row.record["strategy"],
        asked=tuple(_asked(row.record["request"])),
        steps=tuple(_taken(step) for step in row.record["steps"]),
    )


def _asked(request: Mapping[str, Any]) -> Iterable[tuple[str, str | None, str | None]]:
    for change in request.get("identity_changes", ()):
        yield change["identity_type"], change["old_value"], change["new_value"]
    for identity_type, value in request.get("known_identities", {}).items():
        yield identity_type, None, value


def _taken(step: Mapping[str, Any]) -> TakenStep:
    mpids = tuple(int(mpid) for mpid in step.get("mpids", ()))
    return TakenStep(step["rule"], step["text"], step.get("identity_type"), mpids)


_AFTER_ALL: Final = 2**63 - 1
_NEWEST: Final = (
    select(
        identity_decisions.c.id,
        identity_decisions.c.action,
        identity_decisions.c.decided_at_ms,
        identity_decisions.c.mpid,
        identity_decisions.c.previous_mpid,
        identity_decisions.c.record,
    )
    .where(
        identity_decisions.c.workspace_id == bindparam("workspace"),
        identity_decisions.c.id < bindparam("before_id"),
    )
    .limit(bindparam("most"))
)
_ANSWERED_WITH: Final = _NEWEST.where(
    identity_decisions.c.mpid == bindparam("about_mpid")
).order_by(identity_decisions.c.id.desc())
_MOVED_ON_FROM: Final = _NEWEST.where(
    identity_decisions.c.previous_mpid == bindparam("about_mpid"),
    identity_decisions.c.previous_mpid != identity_decisions.c.mpid,
).order_by(identity_decisions.c.id.desc())
_TAKEN_FROM: Final = (
    _NEWEST.join(decision_profiles, decision_profiles.c.decision_id == identity_decisions.c.id)
    .where(
        decision_profiles.c.workspace_id == identity_decisions.c.workspace_id,
        decision_profiles.c.mpid == bindparam("about_mpid"),
    )
    .order_by(decision_profiles.c.decision_id.desc())
)
