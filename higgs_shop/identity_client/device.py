"""What the client remembers on one device: its stamp, and everybody seen on it.

The app keeps a Device wherever it likes and hands it to each call; the result carries the new one.
All times are UTC Unix milliseconds. Source: IDSync documentation, "Device identity" and "Users".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Self

_MPID: Final = re.compile(r"-?[1-9][0-9]{0,18}", re.ASCII)


def is_mpid(text: str) -> bool:
    """Whether this is a profile id: a signed 64-bit integer other than 0, in decimal.

    >>> is_mpid("5811471147114711"), is_mpid("0"), is_mpid("../modify")
    (True, False, False)
    """
    return _MPID.fullmatch(text) is not None and -(2**63) <= int(text) < 2**63


@dataclass(frozen=True)
class User:
    """One person, or one anonymous visitor, as this device knows them.

    Attributes:
        identities: type to value, the device stamp not among them.
        is_logged_in: whether the service said that this is a known profile.
    """

    mpid: str
    identities: Mapping[str, str]
    is_logged_in: bool
    first_seen_ms: int
    last_seen_ms: int

    def __post_init__(self) -> None:
        if not is_mpid(self.mpid):
            raise ValueError(f"not a profile id: {self.mpid[:40]!r}")


@dataclass(frozen=True)
class Device:
    """One browser or phone.

    Attributes:
        stamp: the device_application_stamp, made once and kept.
        users: everybody seen here, newest first.
        current_mpid: who is current; None before the first answer. One of the users.
        context: the service's own note, sent back with the next call.
        opted_out: whether the person here does not want to be tracked.

    >>> ada = User("4711", {"email": "ada@example.test"}, True, first_seen_ms=1, last_seen_ms=1)
    >>> device = Device(stamp="0b7f3d64").with_current(ada, now_ms=5)
    >>> device.current_user == ada, Device(stamp="0b7f3d64").current_user
    (True, None)
    """

    stamp: str
    users: tuple[User, ...] = ()
    current_mpid: str | None = None
    context: str | None = None
    opted_out: bool = False

    def __post_init__(self) -> None:
        if not self.stamp:
            raise ValueError("a device needs a stamp")
        if self.current_mpid is not None and self.user(self.current_mpid) is None:
            raise ValueError(f"the current user {self.current_mpid} was never seen on this device")

    @property
    def current_user(self) -> User | None:
        """Who every event belongs to now; None before the first answer."""
        return None if self.current_mpid is None else self.user(self.current_mpid)

    def user(self, mpid: str) -> User | None:
        """The user with this MPID, if seen on this device."""
        return next((user for user in self.users if user.mpid == mpid), None)

    def with_current(self, user: User, *, now_ms: int) -> Self:
        """A copy in which this user is current and first; who was current was seen until now."""
        others = tuple(
            replace(other, last_seen_ms=now_ms) if other.mpid == self.current_mpid else other
            for other in self.users
            if other.mpid != user.mpid
        )
        return replace(self, users=(user, *others), current_mpid=user.mpid)

    def with_context(self, context: str | None) -> Self:
        """A copy with the service's new note; None leaves the old one."""
        return self if context is None else replace(self, context=context)

    def with_opt_out(self, opted_out: bool) -> Self:
        """A copy for a person who does not want to be tracked, or does again."""
        return replace(self, opted_out=opted_out)
