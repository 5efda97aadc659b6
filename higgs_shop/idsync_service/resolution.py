"""Resolution: from a request and the profiles that it may mean to what is written, answered, and why.

Pure: nothing is read or written here.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from higgs_shop.identity_types import DEVICE_IDENTITY_TYPES
from higgs_shop.idsync_service.changes import Changes
from higgs_shop.idsync_service.decisions import Step, listed
from higgs_shop.idsync_service.errors import BadRequest
from higgs_shop.idsync_service.messages import IdentityChange
from higgs_shop.idsync_service.policies import Choice, Situation
from higgs_shop.idsync_service.priority import Find, walk
from higgs_shop.idsync_service.profiles import Profile
from higgs_shop.idsync_service.strategies import STRATEGIES
from higgs_shop.workspaces import Workspace

Action = Literal["identify", "login", "logout"]
Answer = dict[str, Any]
Loaded = Mapping[int, Profile]
"""Every profile that carries an identity of the request, and the one it names, by MPID."""
Create = Callable[[Profile | None], Profile]
"""Makes a new profile, which may have a source; it is written with the decision."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """The profile to answer with, None for a new one, and how it came to that.

    A new profile may have a source: the anonymous one whose history belongs to it.
    """

    profile: Profile | None
    steps: tuple[Step, ...]
    source: Profile | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What a call comes to: what is written, what is answered, and why."""

    changes: Changes
    answer: Answer
    steps: list[Step]


def check_offered(workspace: Workspace, action: Action) -> None:
    """Raises BadRequest for a login or logout where the strategy knows no people, only matches."""
    strategy = STRATEGIES[workspace.identity_strategy]
    if action in ("login", "logout") and not strategy.has_login:
        raise BadRequest(
            f"this workspace's strategy, {strategy.name}, has no {action}; use identify"
        )


def choose(
    action: Action,
    identities: Mapping[str, str],
    workspace: Workspace,
    candidates: Collection[Profile],
    current: Profile | None,
) -> Resolution:
    """Decide whose profile a request means. The candidates carry an identity of it, at least one of
    them each; the current profile is the one moved from, and an orphan counts as none.
    """
    if current is not None and current.is_orphan:
        current = None
    find = walk(identities, candidates, workspace, None if current is None else current.mpid)
    found = find.profile
    strategy = STRATEGIES[workspace.identity_strategy]
    situation = Situation(workspace, action, current, found)
    if found is None or not found.is_known(workspace):
        if action == "logout":
            return _chosen(strategy.on_logout(situation), find)
        # A device tells where somebody is, not who: a login ID outweighs what only a device found.
        is_found_by_person = found is not None and find.decided_by not in DEVICE_IDENTITY_TYPES
        if not is_found_by_person and any(name in identities for name in workspace.login_ids):
            return _chosen(strategy.on_new_known_user(situation), find)
    if found is None:
        step = Step("nobody_found", f"{why_nobody(find)}: a new profile")
    else:
        step = returned(found, find)
    return Resolution(found, (*find.steps, step))


def returned(profile: Profile, find: Find) -> Step:
    """That somebody is returned, and what found them."""
    text = f"{listed([profile])} is returned, found by {find.decided_by}"
    return Step("returned", text, find.decided_by, [profile])


def why_nobody(find: Find) -> str:
    """Why a walk came to nobody: there is none, or none that may be returned."""
    if all(step.rule == "looked_up" for step in find.steps):
        return "nobody carries any of these identities"
    return "whoever carries these identities may not be returned"


def moved(
    resolution: Resolution,
    identities: Mapping[str, str],
    workspace: Workspace,
    loaded: Loaded,
    *,
    create: Create,
    now_ms: int,
) -> Decision:
    """What follows from a resolution: a profile where there is none, and the identities it lacks.

    Raises: ImmutableIdentity.
    """
    profile, steps = resolution.profile, list(resolution.steps)
    if profile is None:
        profile = create(resolution.source)
        steps.append(Step("profile_created", f"{listed([profile])} is new", None, [profile]))
    matched = matched_by(profile, identities)
    changes = _changes(profile, loaded, workspace, now_ms)
    for identity_type, value in identities.items():
        changes.put(identity_type, value)
    return Decision(changes, answer_with(profile, workspace, matched), [*steps, *changes.steps])


def modified(
    mpid: int,
    wanted: Collection[IdentityChange],
    workspace: Workspace,
    loaded: Loaded,
    now_ms: int,
) -> Decision:
    """What follows from a modify. Raises: BadRequest. ImmutableIdentity."""
    profile = loaded.get(mpid)
    if profile is None:
        raise BadRequest(f"there is no profile {mpid}")
    if profile.is_orphan:
        raise BadRequest(f"profile {mpid} has lost its last identity and cannot come back")
    changes = _changes(profile, loaded, workspace, now_ms)
    for change in wanted:
        if change.new_value is None:
            changes.remove(change.identity_type, change.old_value)
        else:
            changes.put(change.identity_type, change.new_value, instead_of=change.old_value)
    changes.finish()
    answer = answer_with(profile, workspace, {})
    answer["change_results"] = [
        {"identity_type": change.identity_type, "modified_mpid": str(mpid)} for change in wanted
    ]
    nothing = Step("nothing_changed", "nothing was to change", None, [profile])
    steps = changes.steps if changes.has_changed else [*changes.steps, nothing]
    return Decision(changes, answer, steps)


def matched_by(profile: Profile, identities: Mapping[str, str]) -> dict[str, str]:
    """The identities of a request that the profile carries."""
    return {name: value for name, value in identities.items() if profile.carries(name, value)}


def answer_with(profile: Profile, workspace: Workspace, matched: Mapping[str, str]) -> Answer:
    """The documented body of an answer."""
    return {
        "context": None,
        "mpid": str(profile.mpid),
        "matched_identities": dict(matched),
        "is_ephemeral": False,
        "is_logged_in": profile.is_known(workspace),
    }


def _chosen(choice: Choice, find: Find) -> Resolution:
    # Who was preferred is no reason for an answer in which they have no part.
    has_part = find.profile is not None and find.profile in (choice.profile, choice.source)
    steps = find.steps if has_part else find.steps_to_candidates
    return Resolution(choice.profile, (*steps, choice.step), choice.source)


def _changes(profile: Profile, loaded: Loaded, workspace: Workspace, now_ms: int) -> Changes:
    others = [other for other in loaded.values() if other.mpid != profile.mpid]
    return Changes(profile, others, workspace, now_ms)
