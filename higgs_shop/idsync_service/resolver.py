"""Resolution: from a request to a profile, with every step on record.

`choose`, `moved` and `modified` decide, and are pure; Resolver reads what they need, writes what
follows, and keeps the record, all in one write transaction for each call. Search writes nothing.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from higgs_shop.clock import Clock
from higgs_shop.database import Database
from higgs_shop.identity_types import DEVICE_IDENTITY_TYPES, parse_mpid
from higgs_shop.idsync_service import decisions, profiles
from higgs_shop.idsync_service.changes import Changes, Difference
from higgs_shop.idsync_service.decisions import Call, Step, listed
from higgs_shop.idsync_service.errors import (
    BadRequest,
    IdSyncError,
    ProfileNotFound,
    Unauthorized,
)
from higgs_shop.idsync_service.messages import (
    IdentityChange,
    IdentityRequest,
    ModifyRequest,
)
from higgs_shop.idsync_service.policies import Situation
from higgs_shop.idsync_service.priority import Find, walk
from higgs_shop.idsync_service.profiles import NewMpid, Profile
from higgs_shop.idsync_service.strategies import STRATEGIES
from higgs_shop.workspaces import Workspace, find_workspace

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


Decide = Callable[[Loaded, Create, int], Decision]
"""Decides one call, given the profiles that it may be about, a way to make one, and the time."""


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


_NOBODY_YET = 0
"""The MPID of a profile that would be made; no profile has it."""


class Resolver:
    """Carries out identity calls.

    Args:
        database: where profiles are kept.
        clock: dates what is written.
        new_mpid: draws the numbers of new profiles.
    """

    def __init__(self, database: Database, *, clock: Clock, new_mpid: NewMpid) -> None:
        self._database = database
        self._clock = clock
        self._new_mpid = new_mpid

    def move(
        self,
        workspace: Workspace,
        action: Action,
        request: IdentityRequest,
        digest: str,
        *,
        read_only: bool = False,
    ) -> Answer:
        """identify, login and logout: the answer names the profile to move to.

        Args:
            read_only: answer as usual, and write nothing; a profile that would be made has no MPID.
        Raises: BadRequest, when the workspace's strategy has no such call. ImmutableIdentity.
            DatabaseBusy.
        """
        check_offered(workspace, action)
        identities = request.identities()
        call = Call(
            action,
            request.request_id,
            digest,
            {"environment": request.environment, "known_identities": identities},
            None if request.previous_mpid is None else parse_mpid(request.previous_mpid),
        )

        def decide(loaded: Loaded, create: Create, now_ms: int) -> Decision:
            current = None if call.previous_mpid is None else loaded.get(call.previous_mpid)
            resolution = choose(action, identities, workspace, loaded.values(), current)
            return moved(resolution, identities, workspace, loaded, create=create, now_ms=now_ms)

        return self._carry_out(workspace, call, identities.items(), decide, read_only=read_only)

    def modify(
        self,
        workspace: Workspace,
        mpid: int,
        request: ModifyRequest,
        digest: str,
        *,
        read_only: bool = False,
    ) -> Answer:
        """Change the identities of one profile. Never makes one, and never changes the MPID.

        Args:
            read_only: answer as usual, and write nothing.
        Raises: BadRequest, when there is no such profile or it is an orphan. ImmutableIdentity.
            DatabaseBusy.
        """
        changes = request.identity_changes
        call = Call(
            "modify",
            request.request_id,
            digest,
            {
                "environment": request.environment,
                "identity_changes": [change.model_dump() for change in changes],
            },
            mpid,
        )
        identities = {
            (change.identity_type, change.new_value)
            for change in changes
            if change.new_value is not None
        }

        def decide(loaded: Loaded, _create: Create, now_ms: int) -> Decision:
            return modified(mpid, changes, workspace, loaded, now_ms)

        return self._carry_out(workspace, call, identities, decide, read_only=read_only)

    def search(self, workspace: Workspace, request: IdentityRequest) -> Answer:
        """Who would be returned, without any change. Raises: ProfileNotFound."""
        identities = request.identities()
        with self._database.read() as connection:
            loaded = profiles.load(connection, workspace.id, identities.items(), None)
        profile = walk(identities, loaded.values(), workspace, None).profile
        if profile is None:
            raise ProfileNotFound("no profile may be returned for these identities")
        return _answer(profile, workspace, _matched(profile, identities))

    def preview(
        self, workspace: Workspace, action: Action | Literal["search"], request: IdentityRequest
    ) -> Preview:
        """What would happen, by the same rules. Nothing is written, nor kept on record.

        Raises: IdSyncError, as the call would. A search that finds nobody is an answer here.
        """
        identities = request.identities()
        mpid = None if request.previous_mpid is None else parse_mpid(request.previous_mpid)
        with self._database.read() as connection:
            loaded = profiles.load(connection, workspace.id, identities.items(), mpid)
        if action == "search":
            return _found(walk(identities, loaded.values(), workspace, None), identities, workspace)
        check_offered(workspace, action)
        current = None if mpid is None else loaded.get(mpid)
        return _previewed(
            choose(action, identities, workspace, loaded.values(), current),
            identities,
            workspace,
            loaded,
        )

    def _carry_out(
        self,
        workspace: Workspace,
        call: Call,
        identities: Collection[tuple[str, str]],
        decide: Decide,
        *,
        read_only: bool,
    ) -> Answer:
        if read_only:
            return self._decide_only(workspace, call, identities, decide)
        try:
            return self._decide_and_store(workspace, call, identities, decide)
        except (decisions.Repeated, IdSyncError):
            # A call that is sent again is rare: it is found out by storing its decision once more, or
            # by what the first time has changed. Either way all of this time is taken back.
            with self._database.read() as connection:
                answer = decisions.answer_of_repeated(connection, workspace.id, call)
            if answer is None:
                raise
            return answer
        except IntegrityError:
            with self._database.read() as connection:
                if find_workspace(connection, workspace.id) is not None:
                    raise
            raise Unauthorized("the API key is not known any more") from None

    def _decide_only(
        self,
        workspace: Workspace,
        call: Call,
        identities: Collection[tuple[str, str]],
        decide: Decide,
    ) -> Answer:
        with self._database.read() as connection:
            loaded = profiles.load(connection, workspace.id, identities, call.previous_mpid)
        decision = decide(loaded, _nobody_yet, self._clock())
        if decision.changes.profile.mpid == _NOBODY_YET:
            decision.answer["mpid"] = None
        return decision.answer

    def _decide_and_store(
        self,
        workspace: Workspace,
        call: Call,
        identities: Collection[tuple[str, str]],
        decide: Decide,
    ) -> Answer:
        with self._database.write() as connection:
            if not self._database.is_sqlite:
                profiles.lock(
                    connection, workspace.id, identities, call.previous_mpid, call.request_id
                )
            now_ms = self._clock()
            while True:
                loaded = profiles.load(connection, workspace.id, identities, call.previous_mpid)
                decision = decide(loaded, self._drawing(loaded), now_ms)
                profile, difference = decision.changes.profile, decision.changes.difference()
                is_new = profile.mpid not in loaded
                if _write(connection, workspace.id, profile, difference, now_ms, is_new=is_new):
                    break
            decisions.store(
                connection,
                workspace.id,
                call,
                mpid=profile.mpid,
                answer=decision.answer,
                steps=decision.steps,
                losers=difference.losers,
                decided_at_ms=now_ms,
            )
        return decision.answer

    def _drawing(self, loaded: Loaded) -> Create:
        def draw(source: Profile | None) -> Profile:
            mpid = self._new_mpid()
            while mpid in loaded:
                mpid = self._new_mpid()
            return Profile(mpid, 0, {}, None if source is None else source.mpid)

        return draw


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
            choice = strategy.on_logout(situation)
            return Resolution(choice.profile, (*find.steps, choice.step), choice.source)
        # A device tells where somebody is, not who: a login ID outweighs what only a device found.
        is_found_by_person = found is not None and find.decided_by not in DEVICE_IDENTITY_TYPES
        if not is_found_by_person and any(name in identities for name in workspace.login_ids):
            choice = strategy.on_new_known_user(situation)
            return Resolution(choice.profile, (*find.steps, choice.step), choice.source)
    if found is None:
        step = Step("nobody_found", "nobody may be returned for these identities: a new profile")
    else:
        step = Step("returned", f"{listed([found])} is returned", find.decided_by, [found])
    return Resolution(found, (*find.steps, step))


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
    matched = _matched(profile, identities)
    changes = _changes(profile, loaded, workspace, now_ms)
    for identity_type, value in identities.items():
        changes.put(identity_type, value)
    return Decision(changes, _answer(profile, workspace, matched), [*steps, *changes.steps])


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
    answer = _answer(profile, workspace, {})
    answer["change_results"] = [
        {"identity_type": change.identity_type, "modified_mpid": str(mpid)} for change in wanted
    ]
    nothing = Step("nothing_changed", "the profile has these values already", None, [profile])
    return Decision(changes, answer, changes.steps or [nothing])


def _nobody_yet(_source: Profile | None) -> Profile:
    return Profile(_NOBODY_YET, 0, {})


def _found(find: Find, identities: Mapping[str, str], workspace: Workspace) -> Preview:
    profile = find.profile
    if profile is None:
        step = Step("nobody_found", "nobody may be returned for these identities: not found")
        return Preview(None, False, False, {}, (*find.steps, step))
    step = Step("returned", f"{listed([profile])} is returned", find.decided_by, [profile])
    return Preview(
        profile,
        False,
        profile.is_known(workspace),
        _matched(profile, identities),
        (*find.steps, step),
    )


def _previewed(
    resolution: Resolution, identities: Mapping[str, str], workspace: Workspace, loaded: Loaded
) -> Preview:
    decision = moved(resolution, identities, workspace, loaded, create=_nobody_yet, now_ms=0)
    made = Step("profile_created", "a new profile would be made")
    steps = [made if step.rule == "profile_created" else step for step in decision.steps]
    return Preview(
        resolution.profile,
        resolution.profile is None,
        decision.answer["is_logged_in"],
        decision.answer["matched_identities"],
        tuple(steps),
    )


def _write(
    connection: Connection,
    workspace_id: str,
    profile: Profile,
    difference: Difference,
    now_ms: int,
    *,
    is_new: bool,
) -> bool:
    """False, with nothing written, when the MPID that was drawn for a new profile is taken."""
    changed = [(loser, loser.last_seen_ms) for loser in difference.losers]
    if is_new:
        if not profiles.add(connection, workspace_id, profile, now_ms):
            return False
    elif difference.removed or difference.added:
        changed.append((profile, now_ms))
    else:
        profiles.touch(connection, workspace_id, profile, now_ms)
    profiles.keep_records(connection, workspace_id, changed)
    profiles.keep_ways(connection, workspace_id, removed=difference.removed, added=difference.added)
    return True


def _changes(profile: Profile, loaded: Loaded, workspace: Workspace, now_ms: int) -> Changes:
    others = [other for other in loaded.values() if other.mpid != profile.mpid]
    return Changes(profile, others, workspace, now_ms)


def _matched(profile: Profile, identities: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in identities.items() if profile.carries(name, value)}


def _answer(profile: Profile, workspace: Workspace, matched: Mapping[str, str]) -> Answer:
    return {
        "context": None,
        "mpid": str(profile.mpid),
        "matched_identities": dict(matched),
        "is_ephemeral": False,
        "is_logged_in": profile.is_known(workspace),
    }
