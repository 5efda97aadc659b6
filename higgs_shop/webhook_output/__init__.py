"""Webhook outputs: every message of the outbox as one signed POST, in order per MPID, until a 2xx."""

from higgs_shop.webhook_output.errands import Delivery, Errand, Turn, Work
from higgs_shop.webhook_output.forwarder import Forwarder
from higgs_shop.webhook_output.posting import GAP_HEADER
from higgs_shop.webhook_output.retry import (
    GONE,
    SCHEDULE_SECONDS,
    longest_waits_ms,
    schedule_after,
)
from higgs_shop.webhook_output.sender import Sender
from higgs_shop.webhook_output.signature import BadSecret, Verdict, sign, verify

__all__ = [
    "GAP_HEADER",
    "GONE",
    "SCHEDULE_SECONDS",
    "BadSecret",
    "Delivery",
    "Errand",
    "Forwarder",
    "Sender",
    "Turn",
    "Verdict",
    "Work",
    "longest_waits_ms",
    "schedule_after",
    "sign",
    "verify",
]
