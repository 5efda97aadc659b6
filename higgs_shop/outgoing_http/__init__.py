"""The one way out over HTTP: a POST that ends in time, in size and in one tree of errors.

httpx knows no total deadline (a server that drips one byte at a time is never late), follows the
proxy variables of the environment, unpacks whatever it is sent and raises outside its own tree.
Here, every call has one deadline for name look-up, connecting, TLS, sending and reading together;
answers are kept as sent and up to a size; nothing of the environment counts; redirects, cookies
and retries do not exist. Connections go to public addresses and to permitted ones (networks.py),
which is checked when dialling, of the very address that is dialled: what a name meant when somebody
looked at the URL says nothing about what it means now.

    errors       what a call can end in
    client       OutgoingHttp: posts and reads
    dialling     connections, to permitted addresses only, whose every step ends with the call
    lookup       names to addresses, in time
    deadline     when the call has to be over
"""

from higgs_shop.outgoing_http.client import Answer, OutgoingHttp
from higgs_shop.outgoing_http.dialling import KEEPALIVE_SECONDS
from higgs_shop.outgoing_http.errors import (
    AnswerTooLarge,
    BadUrl,
    ConnectionLost,
    NoConnection,
    NotPermitted,
    OutgoingError,
    TimedOut,
    TlsFailed,
)
from higgs_shop.outgoing_http.lookup import Resolve, resolve

__all__ = [
    "KEEPALIVE_SECONDS",
    "Answer",
    "AnswerTooLarge",
    "BadUrl",
    "ConnectionLost",
    "NoConnection",
    "NotPermitted",
    "OutgoingError",
    "OutgoingHttp",
    "Resolve",
    "TimedOut",
    "TlsFailed",
    "resolve",
]
