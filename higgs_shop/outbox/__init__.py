"""The durable hand-over: what happened waits here, in order per MPID, until a receiver has it.

A page enqueues inside the transaction of the change itself; an output claims a mailbox, sends outside
any transaction, and records how it went. A message is sent at least once, always with the same
`webhook-id` and the same bytes.
"""

from higgs_shop.outbox.backlog_cap import BacklogCap
from higgs_shop.outbox.choosing import choose_more, go_on_choosing, start_replay
from higgs_shop.outbox.claiming import claim_due, forget_leases
from higgs_shop.outbox.deliveries import (
    MOST_COUNTED,
    Counts,
    ListedAttempt,
    ListedMessage,
    backlog,
    count_messages,
    get_message,
    list_attempts,
    list_messages,
)
from higgs_shop.outbox.enqueuing import BACKLOG_IS_FULL, enqueue
from higgs_shop.outbox.forgetting import OLD_REPLAYS, Forgotten, forget_closed
from higgs_shop.outbox.given_up import count_given_up, given_up_total
from higgs_shop.outbox.mailboxes import LeaseClock, mailbox_time
from higgs_shop.outbox.message import (
    Attempt,
    Backlog,
    Claim,
    Draft,
    HandedIn,
    Message,
    MessageState,
    State,
)
from higgs_shop.outbox.message_states import messages_of_events
from higgs_shop.outbox.newest_attempts import NewestAttempt, newest_attempts
from higgs_shop.outbox.over_all import OverAll, outputs_in_trouble, over_all
from higgs_shop.outbox.recording import Recorded, record
from higgs_shop.outbox.replay_choice import ReplayChoice, count_chosen, list_chosen
from higgs_shop.outbox.replays import Progress, Replay, ask_for_replay, list_replays, progress_of
from higgs_shop.outbox.tries import Tries, tries_at
from higgs_shop.outbox.trying_now import try_now, waits_for_retry
from higgs_shop.outbox.waits import Waits
from higgs_shop.outbox.withdrawing import withdraw

__all__ = [
    "BACKLOG_IS_FULL",
    "MOST_COUNTED",
    "OLD_REPLAYS",
    "Attempt",
    "Backlog",
    "BacklogCap",
    "Claim",
    "Counts",
    "Draft",
    "Forgotten",
    "HandedIn",
    "LeaseClock",
    "ListedAttempt",
    "ListedMessage",
    "Message",
    "MessageState",
    "NewestAttempt",
    "OverAll",
    "Progress",
    "Recorded",
    "Replay",
    "ReplayChoice",
    "State",
    "Tries",
    "Waits",
    "ask_for_replay",
    "backlog",
    "choose_more",
    "claim_due",
    "count_chosen",
    "count_given_up",
    "count_messages",
    "enqueue",
    "forget_closed",
    "forget_leases",
    "get_message",
    "given_up_total",
    "go_on_choosing",
    "list_attempts",
    "list_chosen",
    "list_messages",
    "list_replays",
    "mailbox_time",
    "messages_of_events",
    "newest_attempts",
    "outputs_in_trouble",
    "over_all",
    "progress_of",
    "record",
    "start_replay",
    "tries_at",
    "try_now",
    "waits_for_retry",
    "withdraw",
]
