"""The behaviours that a strategy is made of: small functions of one signature. Pure.

Source: IDSync documentation, "Profile conversion", "Profile link" and "Profile isolation strategy".
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from higgs_shop.idsync_service.decisions import Step, listed
from higgs_shop.idsync_service.profiles import Profile
from higgs_shop.workspaces import Workspace


@dataclass(frozen=True, slots=True)
class Situation:
    """What a policy may look at.

    Attributes:
        action: identify, login or logout.
        current: the profile moved from; None when the request names none, or an orphan.
        found: the anonymous profile that the walk found, if it found one.
    """

    workspace: Workspace
    action: str
    current: Profile | None
    found: Profile | None

    @property
    def is_known_current(self) -> bool:
        """Whether somebody known is moved from: what was theirs is not for whoever comes."""
        return self.current is not None and self.current.is_known(self.workspace)


@dataclass(frozen=True, slots=True)
class Choice:
    """The profile to answer with, None for a new one, and the step that says why.

    A new profile may have a source: the anonymous profile whose history belongs to it.
    """

    profile: Profile | None
    step: Step
    source: Profile | None = None


Policy = Callable[[Situation], Choice]

_NEVER_SEEN: Final = "a login ID never seen before"


def convert_anonymous_profile(situation: Situation) -> Choice:
    """A new person is whoever was anonymous until now: the MPID stays, and so does the history."""
    if situation.is_known_current:
        return _new_beside_known(situation)
    anonymous = situation.current or situation.found
    if anonymous is None:
        text = f"{_NEVER_SEEN}, and no anonymous profile there: a new one"
        return Choice(None, Step("new_person", text))
    text = f"{_NEVER_SEEN}: {listed([anonymous])}, anonymous until now, is converted"
    return Choice(anonymous, Step("anonymous_profile_converted", text, None, [anonymous]))


def create_linked_profile(situation: Situation) -> Choice:
    """A new person is a new profile, whose source is whoever was anonymous until now."""
    converted = convert_anonymous_profile(situation)
    source = converted.profile
    if source is None:
        return converted
    text = f"{_NEVER_SEEN}: a new profile, whose source is {listed([source])}"
    return Choice(None, Step("new_profile_linked", text, None, [source]), source)


def create_profile(situation: Situation) -> Choice:
    """A new profile, always: two people on one device never share an anonymous one."""
    if situation.action == "logout":
        step = Step("new_profile_at_logout", "logout: a new anonymous profile, always")
    else:
        step = Step("new_person", f"{_NEVER_SEEN}: a new profile, and nothing carries over")
    return Choice(None, step)


def return_to_anonymous_profile(situation: Situation) -> Choice:
    """Back to the anonymous profile that the device had before, or to a new one."""
    found = situation.found
    if found is None:
        text = "logout, and no anonymous profile to go back to: a new one"
        return Choice(None, Step("new_profile_at_logout", text))
    text = f"logout: back to {listed([found])}, the anonymous profile"
    return Choice(found, Step("returned_at_logout", text, None, [found]))


def _new_beside_known(situation: Situation) -> Choice:
    known = [profile for profile in (situation.current,) if profile is not None]
    text = f"{_NEVER_SEEN}, and {listed(known)} is known: somebody else, new"
    return Choice(None, Step("new_person_beside_known", text, None, known))
