"""The webhook output: every message of the outbox as one signed POST, in order per MPID, until a 2xx."""

from higgs_shop.webhook_output.forwarder import Forwarder
from higgs_shop.webhook_output.output import Delivery, WebhookOutput
from higgs_shop.webhook_output.retry import SCHEDULE_SECONDS, next_attempt_ms, retry_after_ms
from higgs_shop.webhook_output.signature import BadSecret, Verdict, sign, verify

__all__ = [
    "SCHEDULE_SECONDS",
    "BadSecret",
    "Delivery",
    "Forwarder",
    "Verdict",
    "WebhookOutput",
    "next_attempt_ms",
    "retry_after_ms",
    "sign",
    "verify",
]
