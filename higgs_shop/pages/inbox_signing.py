"""Not a page: what an inbox checks signatures with. The store's own has the store's secret."""

import functools

from higgs_shop.inbox import InboxSession, Verify, unchecked
from higgs_shop.pages.parts import parts
from higgs_shop.webhook_output import BadSecret, sign, verify


def check_of(session: InboxSession) -> Verify:
    """How the signatures of what is posted to this session are checked."""
    if session.token == parts().secrets.inbox_token:
        return parts().verify_signature
    if session.signing_secret is None:
        return unchecked
    return functools.partial(verify, [session.signing_secret])


def secret_complaint(secret: str) -> str | None:
    """What is wrong with a signing secret, as the sentence of an error; None when nothing is."""
    try:
        sign([secret], webhook_id="", timestamp_seconds=0, body=b"")
    except BadSecret as error:
        return str(error)
    return None
