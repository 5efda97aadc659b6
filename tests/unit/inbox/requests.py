"""A request that came to an inbox, made without one."""

from higgs_shop.inbox import Answer, InboxRequest


def request(body: bytes, *headers: tuple[str, str], path: str = "/inbox/hook") -> InboxRequest:
    """With this body and these headers, in their order."""
    return InboxRequest(
        id=1,
        workspace_id="default",
        token="hook",
        method="POST",
        path=path,
        headers=headers,
        body=body,
        webhook_id=None,
        attempt=1,
        same_body=None,
        signature="missing",
        signature_reason="Not signed.",
        answer=Answer(204),
        received_at_ms=0,
    )
