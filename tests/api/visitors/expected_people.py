"""A small model of who is at which browser: what every event's MPID has to be, told without any.

A device's time is cut into stretches: one from each call that can change who somebody is (identify,
login, logout) to the next. Whatever is logged belongs to the stretch in which it was done, however
late the call is carried out. When a call is carried out, its stretch gets its profile, by the rules
of the profile conversion strategy; a profile here is a mere mark, to be matched with MPIDs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(eq=False)
class Profile:
    """One MPID, whichever it is. `owner` is the person who is known by it."""

    owner: "Person | None" = None


@dataclass(eq=False)
class Person:
    """Somebody with an account."""

    customer_id: str
    email: str
    names: set[str] = field(default_factory=set)
    emails: set[str] = field(default_factory=set)
    profile: Profile | None = None
    was_refused: bool = False


@dataclass(eq=False)
class Stretch:
    """From one identity call to the next on one device."""

    action: str
    person: Person | None
    profile: Profile | None = None


@dataclass(eq=False)
class Device:
    """A browser, and the person who uses it."""

    stamp: str | None = None
    person: Person | None = None
    is_opted_out: bool = False
    stretches: list[Stretch] = field(default_factory=list)
    identifies: int = 0
    session_id: int | None = None
    last_activity_ms: int = 0
    last_stretch: Stretch | None = None

    @property
    def current(self) -> Stretch | None:
        """To whom belongs what is done now."""
        return self.stretches[-1] if self.stretches else None

    @property
    def first_open(self) -> Stretch | None:
        """The stretch whose call is the next to be carried out."""
        return next((each for each in self.stretches if each.profile is None), None)

    def before(self, stretch: Stretch) -> Profile | None:
        """The profile of the stretch before."""
        position = self.stretches.index(stretch)
        return self.stretches[position - 1].profile if position else None

    def begin(self, action: str) -> Stretch:
        """A call is owed, and a stretch begins."""
        self.stretches.append(Stretch(action, self.person))
        if action == "identify":
            self.identifies += 1
        return self.stretches[-1]

    def carried_out(self, action: str) -> None:
        """The service has carried a call out, for the first time."""
        stretch = self._called(action)
        before = self.before(stretch)
        if stretch.action == "logout":
            stretch.profile = Profile()
        elif stretch.person is None:
            stretch.profile = before or Profile()
        else:
            stretch.profile = _known(stretch.person, before)

    def refused(self, action: str) -> None:
        """The service will never carry the call out."""
        stretch = self._called(action)
        before = self.before(stretch)
        if action == "login" and stretch.person is not None:
            stretch.person.was_refused = True
            if before is None or before.owner is not None:
                stretch.action = "logout"
            else:
                stretch.profile = before
        elif action == "identify":
            stretch.profile = before

    def give_up_tracking(self) -> None:
        """The person has opted out: an identify that is still owed is never made."""
        self.is_opted_out = True
        self.session_id = None
        self.stretches = [
            each for each in self.stretches if each.profile or each.action != "identify"
        ]

    def _called(self, action: str) -> Stretch:
        stretch = self.first_open
        if stretch is None:
            assert action == "identify", f"{action} is called, and nothing was owed"
            stretch = self.begin("identify")
        assert stretch.action == action, f"{action} is called before {stretch.action}"
        return stretch


def _known(person: Person, before: Profile | None) -> Profile:
    if person.profile is None:
        is_anonymous = before is not None and before.owner is None
        person.profile = before if before is not None and is_anonymous else Profile()
        person.profile.owner = person
    return person.profile


def profiles_of(devices: list[Device]) -> Iterator[Profile]:
    """Every profile that some stretch has come to."""
    for device in devices:
        for stretch in device.stretches:
            if stretch.profile is not None:
                yield stretch.profile
