"""Carries out identity calls: reads what resolution.py needs to decide, and writes what follows.

All in one write transaction for each call, the record of the decision too. Search writes nothing.
"""

from collections.abc import Callable, Collection
from typing import Literal

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from higgs_shop.clock import Clock
from higgs_shop.database import Database
from higgs_shop.identity_types import parse_mpid
from higgs_shop.idsync_service import decisions, former, preview, profiles
from higgs_shop.idsync_service.changes import Difference
from higgs_shop.idsync_service.decisions import Call
from higgs_shop.idsync_service.errors import IdSyncError, ProfileNotFound, Unauthorized
from higgs_shop.idsync_service.messages import IdentityRequest, ModifyRequest
from higgs_shop.idsync_service.preview import Preview
from higgs_shop.idsync_service.priority import Find, walk
from higgs_shop.idsync_service.profiles import NewMpid, Profile
from higgs_shop.idsync_service.resolution import (
    Action,
    Answer,
    Create,
    Decision,
    Loaded,
    answer_with,
    check_offered,
    choose,
    matched_by,
    modified,
    moved,
)
from higgs_shop.workspaces import Workspace, find_workspace

Decide = Callable[[Loaded, Create, int], Decision]
"""Decides one call, given the profiles that it may be about, a way to make one, and the time."""


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

        def decide(loaded: Loaded, _create: Create, now_ms: int) -> Decision:
            return modified(mpid, changes, workspace, loaded, now_ms)

        return self._carry_out(workspace, call, _new_values(request), decide, read_only=read_only)

    def search(self, workspace: Workspace, request: IdentityRequest) -> Answer:
        """Who would be returned, without any change. Raises: ProfileNotFound."""
        identities = request.identities()
        with self._database.read() as connection:
            loaded = profiles.load(connection, workspace.id, identities.items(), None)
        profile = walk(identities, loaded.values(), workspace, None).profile
        if profile is None:
            raise ProfileNotFound("no profile may be returned for these identities")
        return answer_with(profile, workspace, matched_by(profile, identities))

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
            return preview.of_search(
                walk(identities, loaded.values(), workspace, None), identities, workspace
            )
        check_offered(workspace, action)
        current = None if mpid is None else loaded.get(mpid)
        return preview.of_move(
            choose(action, identities, workspace, loaded.values(), current),
            identities,
            workspace,
            loaded,
        )

    def preview_modify(self, workspace: Workspace, mpid: int, request: ModifyRequest) -> Preview:
        """What a modify would change, by the same rules. Nothing is written, nor kept on record.

        Raises: IdSyncError, as the call would.
        """
        with self._database.read() as connection:
            loaded = profiles.load(connection, workspace.id, _new_values(request), mpid)
        return preview.of_modify(modified(mpid, request.identity_changes, workspace, loaded, 0))

    def found_by_each(
        self, workspace: Workspace, identities: Collection[tuple[str, str]]
    ) -> dict[tuple[str, str], Find]:
        """Whom each of these identities, given alone and by a client that is nobody yet, would find."""
        with self._database.read() as connection:
            loaded = profiles.load(connection, workspace.id, identities, None)
        return {
            (name, value): walk({name: value}, loaded.values(), workspace, None)
            for name, value in identities
        }

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
        return preview.answer_of(decide(loaded, preview.nobody_yet, self._clock()))

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
                strategy=workspace.identity_strategy,
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


def _new_values(request: ModifyRequest) -> set[tuple[str, str]]:
    return {
        (change.identity_type, change.new_value)
        for change in request.identity_changes
        if change.new_value is not None
    }


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
    former.note_lost(connection, workspace_id, difference.removed, now_ms)
    return True
