"""The built-in webhook receiver: keeps what is posted to it, and says whether the signature holds."""

from higgs_shop.inbox.inbox import (
    MOST_KEPT,
    EventSummary,
    InboxRequest,
    Verdict,
    Verify,
    count_requests,
    get_request,
    keep,
    list_requests,
)

__all__ = [
    "MOST_KEPT",
    "EventSummary",
    "InboxRequest",
    "Verdict",
    "Verify",
    "count_requests",
    "get_request",
    "keep",
    "list_requests",
]
