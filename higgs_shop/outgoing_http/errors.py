"""What a call can end in, split by what may have happened to the request.

    OutgoingError        anything that a call can raise
    ├─ BadUrl            URL or header that can never be sent: permanent, correct it
    ├─ NotPermitted      an address that nothing may be sent to: nothing was sent
    ├─ NoConnection      nobody listens there, or the name is unknown: nothing was sent
    ├─ TlsFailed         the other side could not prove who it is: nothing was sent
    ├─ TimedOut          the deadline passed: it may have been received
    ├─ ConnectionLost    closed or no HTTP before the answer was complete: it may have been received
    └─ AnswerTooLarge    it was received, and answered with more than we read

Messages name the host and the reason, never what was sent.
"""


class OutgoingError(Exception):
    """A call that brought no answer."""


class BadUrl(OutgoingError):
    """The URL or a header can never be sent. Trying again does not help."""


class NotPermitted(OutgoingError):
    """The host has an address that is neither public nor permitted. Nothing was sent.

    The message names the host, the address and the setting that would permit it.
    """


class NoConnection(OutgoingError):
    """Nobody listens there, or the name is unknown. The request was not sent."""


class TlsFailed(OutgoingError):
    """The certificate is not valid for this host, or TLS failed. The request was not sent."""


class TimedOut(OutgoingError):
    """The deadline passed. The request may have been received."""


class ConnectionLost(OutgoingError):
    """The connection broke, or what came was not HTTP. The request may have been received."""


class AnswerTooLarge(OutgoingError):
    """The request was received; its answer has more bytes than are read here."""
