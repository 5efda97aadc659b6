"""The behaviours that a strategy is made of: small functions of one signature. Pure.

Source: IDSync documentation, "Profile conversion strategy".
"""

from collections.abc import Callable
from dataclasses import dataclass

from higgs_shop.idsync_service.decisions import Step, listed
from higgs_shop.idsync_service.profiles import Profile
from higgs_shop.workspaces import Workspace


@dataclass(frozen=True, slots=True)
class Situation:
    """What a policy may look at.

    Attributes:
        current: the profile moved from; None when the request names none, or an orphan.
        found: the anonymous profile that the walk found, if it found one.
    """

    workspace: Workspace
    current: Profile | None
    found: Profile | None


@dataclass(frozen=True, slots=True)
class Choice:
    """The profile to answer with, None for a new one, and the step that says why."""

    profile: Profile | None
    step: Step


Policy = Callable[[Situation], Choice]


def convert_anonymous_profile(situation: Situation) -> Choice:
    """A new person is whoever was anonymous until now: the MPID stays, and so does the history."""
    current, found = situation.current, situation.found
    if current is not None and current.is_known(situation.workspace):
        text = f"a login ID never seen before, and {listed([current])} is known: somebody else, new"
        return Choice(None, Step("new_person_beside_known", text, None, [current]))
    anonymous = current or found
    if anonymous is None:
        text = "a login ID never seen before, and no anonymous profile to convert: a new one"
        return Choice(None, Step("new_person", text))
    text = f"a login ID never seen before: {listed([anonymous])}, anonymous until now, is converted"
    return Choice(anonymous, Step("anonymous_profile_converted", text, None, [anonymous]))


def create_profile(_situation: Situation) -> Choice:
    """A new profile, always: two people on one device never share an anonymous one."""
    return Choice(None, Step("new_profile_at_logout", "logout: a new anonymous profile, always"))
