"""When a message that waits is tried next."""

from typing import Any

from higgs_shop.outbox import ListedMessage, MessageState
from higgs_shop.outputs import Output


def next_try_of(
    message: ListedMessage | MessageState, output: Output | None, now_ms: int
) -> dict[str, Any] | None:
    """When a message is tried next, for the templates.

    None when it does not wait, or waits for its first try, which is made at once when its turn comes. When
    nobody answers at its output, `due_ms` is when one message is tried there, whosever it is.

    Args:
        output: the one that it is for; None when that was removed meanwhile.
    """
    due_ms = message.next_attempt_ms
    if due_ms is None:
        return None
    if output is not None and output.state == "paused":
        when = "paused"
    elif due_ms > now_ms and message.attempts:
        when = "later"
    elif (message.lease_until_ms or 0) > now_ms and message.attempts:
        when = "sending"
    elif output is not None and output.left_alone_until_ms is not None:
        when, due_ms = "unreachable", output.left_alone_until_ms
    elif not message.attempts:
        return None
    else:
        when = "now"
    return {"when": when, "due_ms": due_ms}
