"""What a call would come to, by the same rules, with nothing written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from higgs_shop.idsync_service.decisions import Step
from higgs_shop.idsync_service.priority import Find
from higgs_shop.idsync_service.profiles import Profile
from higgs_shop.idsync_service.resolution import (
    Answer,
    Decision,
    Loaded,
    Resolution,
    matched_by,
    moved,
    returned,
    why_nobody,
)
from higgs_shop.workspaces import Workspace


@dataclass(frozen=True, slots=True)
class Preview:
    """What a call would come to, if it were made now.

    Attributes:
        profile: the one to answer with, as it would be then; None for a new one, and for a search
            that finds nobody.
        is_new: whether a new profile would be made.
        is_logged_in: what the answer would say.
        matched_identities: those of the request that found the profile.
    """

    profile: Profile | None
    is_new: bool
    is_logged_in: bool
    matched_identities: Mapping[str, str]
    steps: tuple[Step, ...]


_NOBODY_YET: Final = 0
"""The MPID of a profile that would be made; no profile has it."""


def nobody_yet(_source: Profile | None) -> Profile:
    """Stands for a profile that would be made."""
    return Profile(_NOBODY_YET, 0, {})


def answer_of(decision: Decision) -> Answer:
    """What would be answered; a profile that would be made has no MPID."""
    if decision.changes.profile.mpid != _NOBODY_YET:
        return decision.answer
    return {**decision.answer, "mpid": None}


def of_search(find: Find, identities: Mapping[str, str], workspace: Workspace) -> Preview:
    """Of a search, which may find nobody."""
    profile = find.profile
    if profile is None:
        step = Step("nobody_found", f"{why_nobody(find)}: not found")
        return Preview(None, False, False, {}, (*find.steps, step))
    return Preview(
        profile,
        False,
        profile.is_known(workspace),
        matched_by(profile, identities),
        (*find.steps, returned(profile, find)),
    )


def of_move(
    resolution: Resolution, identities: Mapping[str, str], workspace: Workspace, loaded: Loaded
) -> Preview:
    """Of an identify, login or logout. Raises: ImmutableIdentity."""
    decision = moved(resolution, identities, workspace, loaded, create=nobody_yet, now_ms=0)
    made = Step("profile_created", "a new profile would be made")
    steps = [made if step.rule == "profile_created" else step for step in decision.steps]
    return Preview(
        resolution.profile,
        resolution.profile is None,
        decision.answer["is_logged_in"],
        decision.answer["matched_identities"],
        tuple(steps),
    )


def of_modify(decision: Decision) -> Preview:
    """Of a modify, which neither makes a profile nor leads to another one."""
    return Preview(
        decision.changes.profile,
        False,
        decision.answer["is_logged_in"],
        {},
        tuple(decision.steps),
    )
