"""What the inbox refuses.

InboxError
├─ NoSuchSession
├─ OwnSession        the store's own cannot be removed, nor given another secret
└─ TooManySessions
"""


class InboxError(Exception):
    """Anything that is refused; the message is one sentence for people."""


class NoSuchSession(InboxError):
    """Nobody listens at this token."""


class OwnSession(InboxError):
    """The store's own session checks with the store's secret, and stays as long as the store does."""


class TooManySessions(InboxError):
    """As many as there may be are there already."""
