"""What an inbox checks signatures with. The store's own has the store's secret."""

import functools
from collections.abc import Mapping
from typing import Final

from higgs_shop.asking.parts import parts
from higgs_shop.inbox import InboxSession, Verify, unchecked
from higgs_shop.webhook_output import verify

_MOST_NAMED: Final = 3


def check_of(session: InboxSession) -> Verify:
    """How the signatures of what is posted to this session are checked."""
    if session.token == parts().secrets.inbox_token:
        return parts().own_inbox.verify_signature
    if session.signing_secret is None:
        return unchecked
    return functools.partial(verify, [session.signing_secret])


def sender_of(token: str, headers: Mapping[str, str], body: bytes) -> str | None:
    """The output that has signed what is posted to this token, as people name it: one, or `one or other`.

    None where nobody knows: at another inbox than the store's own, and where many share a secret.
    """
    if token != parts().secrets.inbox_token:
        return None
    signers = parts().own_inbox.signers(headers, body, parts().clock())
    return " or ".join(signers) if 0 < len(signers) <= _MOST_NAMED else None
