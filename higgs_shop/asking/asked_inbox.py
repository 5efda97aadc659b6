"""The inbox that an address names, for the pages and the JSON API; and where it is posted to."""

from typing import Final

from flask import abort

from higgs_shop.asking.parts import parts
from higgs_shop.inbox import InboxRequest, InboxSession, as_curl, find_session, get_request

OWN: Final = "default"
"""Stands for the token of the store's own inbox in addresses of pages."""

NO_SUCH_INBOX: Final = (
    "There is no such inbox; perhaps somebody has removed it. The page Inboxes lists those that there "
    "are."
)
NO_SUCH_REQUEST: Final = "There is no such request in this inbox; perhaps it was removed."


def session_or_404(name: str) -> InboxSession:
    """The inbox that an address of a page names."""
    with parts().database.read() as connection:
        found = find_session(
            connection,
            parts().workspace_id,
            token_of(name),
            own_token=parts().secrets.inbox_token,
        )
    if found is None:
        abort(404, NO_SUCH_INBOX)
    return found


def request_or_404(shown: InboxSession, number: int) -> InboxRequest:
    """One of its requests."""
    with parts().database.read() as connection:
        found = get_request(connection, shown.workspace_id, shown.token, number)
    if found is None:
        abort(404, NO_SUCH_REQUEST)
    return found


def token_of(name: str) -> str:
    """The token that stands in an address of a page, or is meant there."""
    return parts().secrets.inbox_token if name == OWN else name


def name_of(token: str) -> str:
    """What stands in addresses of pages for a token."""
    return OWN if token == parts().secrets.inbox_token else token


def address_of(token: str) -> str:
    """Where to post."""
    return f"{parts().inbox_address.rpartition('/')[0]}/{token}"


def curl_of(kept: InboxRequest) -> str:
    """The command that sends a request again."""
    certificate = parts().certificate
    return as_curl(
        kept,
        parts().inbox_address.partition("/inbox/")[0],
        certificate=str(certificate.file) if certificate else None,
    )
