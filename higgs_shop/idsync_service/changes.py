"""What a call writes onto profiles: values added and replaced, unique values taken from others, orphans.

Pure: a Changes works on profiles in memory, and ends as the difference that is to be written.
Source: IDSync documentation, "Unique IDs", "Immutable IDs", "Orphaned profiles".
"""

from collections.abc import Collection
from dataclasses import dataclass

from higgs_shop.identity_types import USER_IDENTITY_TYPES
from higgs_shop.idsync_service.decisions import Step, listed
from higgs_shop.idsync_service.errors import ImmutableIdentity
from higgs_shop.idsync_service.profiles import Profile
from higgs_shop.workspaces import Workspace


@dataclass(frozen=True, slots=True)
class Difference:
    """Identities that are taken away and added, each as (mpid, type, value), in a stable order.

    `losers` are the other profiles from which something is taken away.
    """

    removed: list[tuple[int, str, str]]
    added: list[tuple[int, str, str]]
    losers: list[Profile]


class Changes:
    """What happens to the profile of a request, and to those that carry the same identities.

    Args:
        profile: the one that the request is answered with; changed in place.
        others: every other profile that carries one of the request's identities; changed in place.
        workspace: says which types are unique and which never change.
        now_ms: when what is put is set.

    Example: `changes = Changes(profile, others, workspace, now_ms); changes.put("email", "ada@example.test")`
    """

    def __init__(
        self, profile: Profile, others: Collection[Profile], workspace: Workspace, now_ms: int
    ) -> None:
        self.profile = profile
        self.steps: list[Step] = []
        self._others = others
        self._workspace = workspace
        self._now_ms = now_ms
        self._before = self._identities()

    def put(self, identity_type: str, value: str, *, instead_of: str | None = None) -> None:
        """Give the profile a value, in place of the one it had, or where it may hold several, in
        place of `instead_of`. Raises: ImmutableIdentity.
        """
        old_values = [old for old in self._replaced(identity_type, instead_of) if old != value]
        if self.profile.carries(identity_type, value) and not old_values:
            return
        if identity_type in self._workspace.immutable_ids and self.profile.has(identity_type):
            raise ImmutableIdentity(f"{identity_type} never changes once it is set")
        if identity_type in self._workspace.unique_ids:
            self._take_from_others(identity_type, value)
        self.profile.identities.setdefault(identity_type, {})[value] = self._now_ms
        for old_value in old_values:
            self._drop(self.profile, identity_type, old_value)
        self._note_ignored(identity_type, instead_of, old_values)
        if old_values:
            rule, text = "identity_replaced", f"{' and '.join(old_values)} became {value}"
        else:
            rule, text = "identity_added", f"{value} was added"
        self._record(rule, f"{identity_type}: {text}", identity_type, self.profile)

    def remove(self, identity_type: str, old_value: str | None) -> None:
        """Take a value of the profile away; the old value only says which, where there are several.

        Raises: ImmutableIdentity.
        """
        old_values = self._replaced(identity_type, old_value)
        self._note_ignored(identity_type, old_value, old_values)
        if old_values and identity_type in self._workspace.immutable_ids:
            raise ImmutableIdentity(f"{identity_type} is never taken away once it is set")
        for value in old_values:
            self._drop(self.profile, identity_type, value)
            text = f"{identity_type}: {value} was removed"
            self._record("identity_removed", text, identity_type, self.profile)

    def finish(self) -> None:
        """Note what only shows at the end: a profile that was left without any identity."""
        self._record_orphan(self.profile)

    @property
    def has_changed(self) -> bool:
        """Whether anything is to be written."""
        return self._before != self._identities()

    def difference(self) -> Difference:
        """What is to be written, all changes taken together."""
        after = self._identities()
        removed = sorted(self._before - after)
        losing = {mpid for mpid, _, _ in removed}
        return Difference(
            removed,
            sorted(after - self._before),
            [other for other in self._others if other.mpid in losing],
        )

    def _replaced(self, identity_type: str, old_value: str | None) -> list[str]:
        values = self.profile.identities.get(identity_type, {})
        if holds_one_value(self._workspace, identity_type):
            return sorted(values)
        return [old_value] if old_value in values else []

    def _note_ignored(self, identity_type: str, old_value: str | None, replaced: list[str]) -> None:
        if old_value is None or old_value in replaced:
            return
        text = f"{identity_type}: the old value given, {old_value}, was not there, and was ignored"
        self._record("old_value_ignored", text, identity_type, self.profile)

    def _take_from_others(self, identity_type: str, value: str) -> None:
        for other in self._others:
            if not other.carries(identity_type, value):
                continue
            if identity_type in self._workspace.immutable_ids:
                raise ImmutableIdentity(
                    f"this {identity_type} belongs to another profile and never changes"
                )
            self._drop(other, identity_type, value)
            text = f"{identity_type} is unique: {listed([other])} lost {value}"
            self._record("unique_identity_taken", text, identity_type, other)
            self._record_orphan(other)

    def _drop(self, profile: Profile, identity_type: str, value: str) -> None:
        del profile.identities[identity_type][value]
        if not profile.identities[identity_type]:
            del profile.identities[identity_type]

    def _record_orphan(self, profile: Profile) -> None:
        if profile.is_orphan:
            text = f"{listed([profile])} has no identity left: an orphan, never to be found again"
            self._record("orphaned", text, None, profile)

    def _record(self, rule: str, text: str, identity_type: str | None, profile: Profile) -> None:
        self.steps.append(Step(rule, text, identity_type, [profile]))

    def _identities(self) -> set[tuple[int, str, str]]:
        return {
            (profile.mpid, identity_type, value)
            for profile in (self.profile, *self._others)
            for identity_type, values in profile.identities.items()
            for value in values
        }


def holds_one_value(workspace: Workspace, identity_type: str) -> bool:
    """Whether a new value of the type replaces the old one, or joins it.

    A login ID has one value, and so has every type that names a person. Types that name a device have
    several, since people have several devices; and where nothing is unique, any type may.
    """
    if identity_type in workspace.login_ids:
        return True
    return bool(workspace.unique_ids) and identity_type in USER_IDENTITY_TYPES
