"""The rules of identity resolution once more, as short as they can be said: what the service is held against.

Source: the documentation's rules, not the service's code. Profiles are numbered from 1 as they are made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from higgs_shop.identity_types import DEVICE_IDENTITY_TYPES, USER_IDENTITY_TYPES
from higgs_shop.workspaces import Workspace

Identities = Mapping[str, str]
REFUSED = 400
NOT_FOUND = 404


@dataclass
class ModelProfile:
    """One profile: its values by type, and when it was seen last."""

    mpid: int
    seen_at: int
    values: dict[str, set[str]] = field(default_factory=dict)

    def has(self, name: str, value: str) -> bool:
        return value in self.values.get(name, ())

    def drop(self, name: str, value: str) -> None:
        self.values[name].discard(value)
        if not self.values[name]:
            del self.values[name]


@dataclass(frozen=True)
class Answer:
    """What a call is answered with: a profile, or a status code."""

    mpid: int | None = None
    is_logged_in: bool = False
    status_code: int = 200


class Model:
    """All profiles of one workspace, and what each call does to them."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.profiles: dict[int, ModelProfile] = {}
        self.now = 0
        self.drawn = 0  # numbers given to new profiles, also where the call was refused after all

    def move(self, action: str, identities: Identities, previous: int | None) -> Answer:
        self.now += 1
        if action != "identify" and self.workspace.identity_strategy == "best_match":
            return Answer(status_code=REFUSED)
        current = self.profiles.get(previous or 0)
        if current is not None and not current.values:
            current = None
        found, decided_by = self.found(identities, current)
        goes_to = self.strategy_s_choice(action, identities, found, decided_by, current)
        before = self.copy()
        if goes_to is None:
            self.drawn += 1
            goes_to = ModelProfile(self.drawn, self.now)
            self.profiles[goes_to.mpid] = goes_to
        if not all(self.put(goes_to, name, value) for name, value in identities.items()):
            self.profiles = before
            return Answer(status_code=REFUSED)
        goes_to.seen_at = self.now
        return Answer(goes_to.mpid, self.is_known(goes_to))

    def search(self, identities: Identities) -> Answer:
        self.now += 1
        found, _ = self.found(identities, None)
        if found is None:
            return Answer(status_code=NOT_FOUND)
        return Answer(found.mpid, self.is_known(found))

    def modify(self, mpid: int, name: str, old: str | None, new: str | None) -> Answer:
        self.now += 1
        profile = self.profiles.get(mpid)
        if profile is None or not profile.values:
            return Answer(status_code=REFUSED)
        before = self.copy()
        if not (self.put(profile, name, new, old) if new else self.remove(profile, name, old)):
            self.profiles = before
            return Answer(status_code=REFUSED)
        profile.seen_at = self.now
        return Answer(mpid, self.is_known(profile))

    def records(self) -> set[tuple[int, str, str]]:
        """(mpid, type, value) of everything that stands on a profile."""
        return {
            (profile.mpid, name, value)
            for profile in self.profiles.values()
            for name, values in profile.values.items()
            for value in values
        }

    def copy(self) -> dict[int, ModelProfile]:
        return {
            mpid: ModelProfile(
                mpid, profile.seen_at, {name: {*values} for name, values in profile.values.items()}
            )
            for mpid, profile in self.profiles.items()
        }

    def is_known(self, profile: ModelProfile) -> bool:
        return any(name in profile.values for name in self.workspace.login_ids)

    def found(
        self, identities: Identities, current: ModelProfile | None
    ) -> tuple[ModelProfile | None, str]:
        ranked = [name for name in self.workspace.identity_priority if name in identities]
        ranked += [name for name in identities if name not in ranked]
        candidates: list[ModelProfile] = []
        decided_by = ""
        for rank, name in enumerate(ranked):
            carriers = [each for each in self.profiles.values() if each.has(name, identities[name])]
            if not candidates:
                above = ranked[:rank]
                candidates = [each for each in carriers if self.may(each, identities, name, above)]
                decided_by = name
            else:
                candidates = [each for each in candidates if each in carriers] or candidates
        best = min(
            candidates,
            key=lambda each: (each is not current, -each.seen_at, each.mpid),
            default=None,
        )
        return best, decided_by

    def may(
        self, profile: ModelProfile, identities: Identities, name: str, above: list[str]
    ) -> bool:
        given = {each for each, value in identities.items() if profile.has(each, value)}
        immutable = set(self.workspace.immutable_ids)
        if not immutable & profile.values.keys() <= given:
            return False
        if self.is_known(profile) and not given & {*self.workspace.login_ids}:
            return False
        if name in immutable:
            return True
        return not any(
            each in self.workspace.login_ids and each in profile.values and each not in given
            for each in above
        )

    def strategy_s_choice(
        self,
        action: str,
        identities: Identities,
        found: ModelProfile | None,
        decided_by: str,
        current: ModelProfile | None,
    ) -> ModelProfile | None:
        strategy = self.workspace.identity_strategy
        if found is not None and self.is_known(found):
            return found
        if action == "logout":
            return found if strategy == "profile_isolation" else None
        names_a_person = any(name in identities for name in self.workspace.login_ids)
        if not names_a_person or (found is not None and decided_by not in DEVICE_IDENTITY_TYPES):
            return found
        if strategy in {"profile_link", "profile_isolation"}:
            return None
        if current is not None:
            return None if self.is_known(current) else current
        return found

    def old_values(self, profile: ModelProfile, name: str, old: str | None) -> set[str]:
        """What a new value replaces: all of them, but of a device's, or where nothing is unique."""
        values = profile.values.get(name, set())
        holds_one = name in self.workspace.login_ids or (
            self.workspace.unique_ids and name in USER_IDENTITY_TYPES
        )
        return {*values} if holds_one else {*values} & {old}

    def put(self, profile: ModelProfile, name: str, value: str, old: str | None = None) -> bool:
        """Returns False where an immutable value would have to change."""
        replaced = self.old_values(profile, name, old) - {value}
        if profile.has(name, value) and not replaced:
            return True
        if name in self.workspace.immutable_ids and name in profile.values:
            return False
        if name in self.workspace.unique_ids:
            for other in self.profiles.values():
                if other is not profile and other.has(name, value):
                    if name in self.workspace.immutable_ids:
                        return False
                    other.drop(name, value)
        profile.values.setdefault(name, set()).add(value)
        for each in replaced:
            profile.drop(name, each)
        return True

    def remove(self, profile: ModelProfile, name: str, old: str | None) -> bool:
        replaced = self.old_values(profile, name, old)
        if replaced and name in self.workspace.immutable_ids:
            return False
        for each in replaced:
            profile.drop(name, each)
        return True
