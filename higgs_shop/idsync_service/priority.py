"""Who is meant: the walk down the identity priority, the profiles it must not return, and ties.

Pure. Source: IDSync documentation, "How user identification works", "Login IDs", "Immutable IDs".

Worked example: A has email=j@x, other=AAAA, ios_idfv=1234; B has email=j@x, android_aaid=2345,
other=BBBB. Asked for email=j@x, other=AAAA, ios_idfv=2345, the e-mail finds both and `other` breaks
the tie: A.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from higgs_shop.idsync_service.decisions import MAX_LISTED, Step, listed
from higgs_shop.idsync_service.profiles import Profile
from higgs_shop.workspaces import Workspace


@dataclass(frozen=True, slots=True)
class Find:
    """What the walk came to.

    Attributes:
        profile: the one profile that may be returned, or None.
        decided_by: the identity type that first left a candidate; None without a profile.
        steps_to_candidates: what was looked up and set aside, in order.
        preference: how one of several candidates was preferred; None where none had to be.
    """

    profile: Profile | None
    decided_by: str | None
    steps_to_candidates: tuple[Step, ...]
    preference: Step | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """All of them, in order."""
        if self.preference is None:
            return self.steps_to_candidates
        return (*self.steps_to_candidates, self.preference)


def lookup_order(identity_types: Iterable[str], priority: Iterable[str]) -> list[str]:
    """The types of a request in the order of lookup; those that the priority leaves out come last."""
    asked = list(identity_types)
    ranked = [name for name in priority if name in asked]
    return ranked + [name for name in asked if name not in ranked]


def walk(
    identities: Mapping[str, str],
    profiles: Collection[Profile],
    workspace: Workspace,
    previous_mpid: int | None,
) -> Find:
    """Find the one profile that the identities mean.

    Args:
        identities: type and value, of one request.
        profiles: every profile that carries one of them, at least.
        workspace: gives the priority, the login IDs and the immutable IDs.
        previous_mpid: the profile moved from; it wins ties.
    """
    find = _walk(identities, profiles, workspace, previous_mpid)
    if find.profile is None or len(profiles) <= MAX_LISTED:
        return find
    # A step names so many and no more: the one that it is all about comes first.
    others = [profile for profile in profiles if profile is not find.profile]
    return _walk(identities, [find.profile, *others], workspace, previous_mpid)


def _walk(
    identities: Mapping[str, str],
    profiles: Collection[Profile],
    workspace: Workspace,
    previous_mpid: int | None,
) -> Find:
    order = lookup_order(identities, workspace.identity_priority)
    steps: list[Step] = []
    candidates: list[Profile] = []
    decided_by = None
    for rank, identity_type in enumerate(order):
        value = identities[identity_type]
        if decided_by is None:
            carriers = [profile for profile in profiles if profile.carries(identity_type, value)]
            steps.append(_looked_up(identity_type, value, carriers))
            candidates = _allowed(carriers, identities, order[: rank + 1], workspace, steps)
            decided_by = identity_type if candidates else None
        elif len(candidates) > 1:
            candidates = _narrowed(candidates, identity_type, value, steps)
    profile, preference = _preferred(candidates, previous_mpid)
    return Find(profile, decided_by, tuple(steps), preference)


def _looked_up(identity_type: str, value: str, carriers: Collection[Profile]) -> Step:
    found = listed(carriers) if carriers else "nobody carries it"
    return Step("looked_up", f"{identity_type} “{value}”: {found}", identity_type, carriers)


def _allowed(
    carriers: Iterable[Profile],
    identities: Mapping[str, str],
    ranked: Sequence[str],
    workspace: Workspace,
    steps: list[Step],
) -> list[Profile]:
    *ranked_above, identity_type = ranked
    allowed = []
    set_aside: dict[tuple[str, str], list[Profile]] = {}
    for profile in carriers:
        reason = _reason_against(profile, identities, ranked_above, identity_type, workspace)
        if reason is None:
            allowed.append(profile)
        else:
            set_aside.setdefault(reason, []).append(profile)
    for (rule, why), protected in set_aside.items():
        steps.append(Step(rule, f"{listed(protected)} set aside: {why}", identity_type, protected))
    return allowed


def _reason_against(
    profile: Profile,
    identities: Mapping[str, str],
    ranked_above: Collection[str],
    identity_type: str,
    workspace: Workspace,
) -> tuple[str, str] | None:
    for immutable in workspace.immutable_ids:
        if profile.has(immutable) and not profile.matches(immutable, identities):
            return "immutable_id_protected", f"its {immutable} never changes and was not given"
    if profile.is_known(workspace) and not any(
        profile.matches(login_id, identities) for login_id in workspace.login_ids
    ):
        return "login_id_protected", "a known person, and none of their login IDs was given"
    if identity_type in workspace.immutable_ids:
        return None
    for login_id in ranked_above:
        if login_id in workspace.login_ids and profile.has_other(login_id, identities[login_id]):
            return (
                "different_login_id",
                f"it has another {login_id}, which ranks above {identity_type}",
            )
    return None


def _narrowed(
    candidates: list[Profile], identity_type: str, value: str, steps: list[Step]
) -> list[Profile]:
    carriers = [profile for profile in candidates if profile.carries(identity_type, value)]
    if not carriers or len(carriers) == len(candidates):
        return candidates
    text = f"{identity_type} “{value}” breaks the tie: {listed(carriers)}"
    steps.append(Step("tie_broken", text, identity_type, carriers))
    return carriers


def _preferred(
    candidates: Collection[Profile], previous_mpid: int | None
) -> tuple[Profile | None, Step | None]:
    if not candidates:
        return None, None
    best = min(
        candidates,
        key=lambda profile: (profile.mpid != previous_mpid, -profile.last_seen_ms, profile.mpid),
    )
    if len(candidates) == 1:
        return best, None
    if best.mpid == previous_mpid:
        rule, why = "previous_mpid_preferred", "the current one"
    elif [profile.last_seen_ms for profile in candidates].count(best.last_seen_ms) == 1:
        rule, why = "most_recently_seen_preferred", "the one seen last"
    else:
        rule, why = "smallest_mpid_preferred", "seen last, together with others: smallest MPID"
    text = f"of {len(candidates)} profiles, {listed([best])}: {why}"
    return best, Step(rule, text, None, [best])
