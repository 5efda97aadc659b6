"""Every table of the store, on one page.

Each table names the part that owns it: only the owner writes, any part may read. Every row carries
its workspace. Times are UTC Unix milliseconds, money is integer cents. MPIDs are plain values, not
foreign keys: with a remote identity service there is no profile row.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_Id = BigInteger().with_variant(Integer, "sqlite")
_Json = JSON(none_as_null=True)


def _number() -> Column[int]:
    return Column("id", _Id, primary_key=True, autoincrement=True)


def _workspace(*, primary_key: bool = False, is_there: bool = False) -> Column[str]:
    # A request that is under way while its workspace is removed must leave nothing behind: what each
    # of them writes first refers to a workspace that is there.
    refers = [ForeignKey("workspaces.id")] if is_there else []
    return Column("workspace_id", Text, *refers, nullable=False, primary_key=primary_key)


def _ms(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


# ── workspaces · owner: workspaces ───────────────────────────────────────────────────────────────

workspaces = Table(
    "workspaces",
    metadata,
    Column("id", Text, primary_key=True),
    Column("api_key", Text, nullable=False, unique=True),
    Column("api_secret", Text, nullable=False),
    Column("identity_strategy", Text, nullable=False),
    Column("identity_priority", _Json, nullable=False),
    Column("login_ids", _Json, nullable=False),
    Column("unique_ids", _Json, nullable=False),
    Column("immutable_ids", _Json, nullable=False),
    _ms("created_at_ms"),
)

# ── who is this? · owner: idsync_service ─────────────────────────────────────────────────────────

profiles = Table(
    "profiles",
    metadata,
    _workspace(primary_key=True, is_there=True),
    Column("mpid", BigInteger, primary_key=True, autoincrement=False),
    Column("source_mpid", BigInteger),  # profile_link: the anonymous profile it comes from
    Column("identities", _Json, nullable=False),  # {type: {value: set_at_ms}}
    _ms("created_at_ms"),
    _ms("first_seen_ms"),  # before it was made, where an alias carried an earlier one over
    _ms("last_seen_ms"),
    # Newest made first. By last_seen_ms, every identity call would write the index anew.
    Index(None, "workspace_id", "created_at_ms", "mpid"),
    Index(
        "ix_profiles_source",
        "workspace_id",
        "source_mpid",
        sqlite_where=text("source_mpid IS NOT NULL"),
        postgresql_where=text("source_mpid IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

# By which identities the profiles are found: what stands in their records, turned round.
profile_identities = Table(
    "profile_identities",
    metadata,
    _workspace(primary_key=True),
    Column("identity_type", Text, primary_key=True),
    Column("identity_value", Text, primary_key=True),
    Column("mpid", BigInteger, primary_key=True, autoincrement=False),
    # Of an e-mail address with capitals, for people who look for it; calls find values as they are.
    Column("lower_case", Text),
    Index(
        "ix_profile_identities_lower_case",
        "workspace_id",
        "lower_case",
        sqlite_where=text("lower_case IS NOT NULL"),
        postgresql_where=text("lower_case IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

# What profiles lost: the last time that each identity was taken away or replaced.
former_identities = Table(
    "former_identities",
    metadata,
    _workspace(primary_key=True),
    Column("mpid", BigInteger, primary_key=True, autoincrement=False),
    Column("identity_type", Text, primary_key=True),
    Column("identity_value", Text, primary_key=True),
    Column("sought", Text, nullable=False),  # the value; of an e-mail address, in lower case
    _ms("lost_at_ms"),
    # With it, SQLite finds all that a search needs in the index, and takes it.
    Index(None, "workspace_id", "sought", "lost_at_ms"),
    sqlite_with_rowid=False,
)

identity_decisions = Table(
    "identity_decisions",
    metadata,
    _number(),
    _workspace(),
    Column("action", Text, nullable=False),
    Column("request_id", Text),
    Column("request_digest", Text, nullable=False),
    Column("previous_mpid", BigInteger),
    Column("mpid", BigInteger, nullable=False),
    Column("record", _Json, nullable=False),  # {"strategy", "request", "answer", "steps"}
    _ms("decided_at_ms"),
    # A call is decided once, however often it is sent; without a request id, each time.
    Index(
        "ix_identity_decisions_request",
        "workspace_id",
        "request_id",
        "request_digest",
        unique=True,
        sqlite_where=text("request_id IS NOT NULL"),
        postgresql_where=text("request_id IS NOT NULL"),
    ),
    Index(None, "workspace_id", "mpid", "id"),
    # Those that moved on from a profile to another one.
    Index(
        "ix_identity_decisions_moved_on",
        "workspace_id",
        "previous_mpid",
        "id",
        sqlite_where=text("previous_mpid <> mpid"),
        postgresql_where=text("previous_mpid <> mpid"),
    ),
)

aliases = Table(
    "aliases",
    metadata,
    _number(),
    _workspace(),
    Column("source_mpid", BigInteger, nullable=False),
    Column("destination_mpid", BigInteger, nullable=False),
    _ms("start_ms"),
    _ms("end_ms"),
    Column("device_stamp", Text),
    Column("request", _Json, nullable=False),
    Column("state", Text, nullable=False),  # waiting, done, dropped
    Column("copied_events", Integer),
    _ms("accepted_at_ms"),
    _ms("due_at_ms"),
    _ms("done_at_ms", nullable=True),
    Index(None, "workspace_id", "source_mpid"),
    Index(None, "workspace_id", "destination_mpid"),
    Index(
        "ix_aliases_due",
        "due_at_ms",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
    sqlite_autoincrement=True,
)

# The profiles, other than the one answered with, from which a decision took identities away.
decision_profiles = Table(
    "decision_profiles",
    metadata,
    _workspace(primary_key=True),
    Column("mpid", BigInteger, primary_key=True, autoincrement=False),
    Column(
        "decision_id",
        _Id,
        ForeignKey("identity_decisions.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Index(None, "decision_id"),
    sqlite_with_rowid=False,
)

# ── what the shop knows · owner: shop ────────────────────────────────────────────────────────────

customers = Table(
    "customers",
    metadata,
    _workspace(primary_key=True),
    Column("customer_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("email_key", Text, nullable=False),
    Column("phone", Text, nullable=False),
    Column("wants_marketing", Boolean, nullable=False),
    Column("is_ready_account", Boolean, nullable=False),
    _ms("created_at_ms"),
    UniqueConstraint("workspace_id", "email_key"),
)

carts = Table(
    "carts",
    metadata,
    _number(),
    _workspace(),
    Column("visit_id", _Id),
    Column("customer_id", Text),
    UniqueConstraint("workspace_id", "visit_id"),
    UniqueConstraint("workspace_id", "customer_id"),
    sqlite_autoincrement=True,
)

cart_lines = Table(
    "cart_lines",
    metadata,
    _number(),
    _workspace(),
    Column("cart_id", _Id, ForeignKey("carts.id", ondelete="CASCADE"), nullable=False),
    Column("product_id", Text, nullable=False),
    Column("color", Text, nullable=False),
    Column("size", Text, nullable=False),
    Column("quantity", Integer, nullable=False),
    _ms("added_at_ms"),
    UniqueConstraint("cart_id", "product_id", "color", "size"),
    sqlite_autoincrement=True,
)

checkouts = Table(
    "checkouts",
    metadata,
    _number(),
    _workspace(),
    Column("visit_id", _Id, nullable=False),
    Column("state", Text, nullable=False),  # open, placed, replaced
    Column("lines", _Json, nullable=False),
    Column("shipping", _Json),
    Column("has_paid", Boolean, nullable=False),
    _ms("begun_at_ms"),
    Index(None, "workspace_id", "visit_id", "state"),
    sqlite_autoincrement=True,
)

orders = Table(
    "orders",
    metadata,
    _workspace(primary_key=True),
    Column("number", Text, primary_key=True),
    Column("checkout_id", _Id, nullable=False, unique=True),
    Column("visit_id", _Id),  # null once the visitor has signed out
    Column("customer_id", Text),
    Column("ship_to", _Json, nullable=False),
    Column("lines", _Json, nullable=False),
    Column("subtotal_cents", Integer, nullable=False),
    Column("shipping_cents", Integer, nullable=False),
    Column("tax_cents", Integer, nullable=False),
    Column("total_cents", Integer, nullable=False),
    _ms("placed_at_ms"),
    Index(None, "workspace_id", "customer_id"),
)

# ── who is at the browser · owner: visitors ──────────────────────────────────────────────────────

devices = Table(
    "devices",
    metadata,
    _workspace(primary_key=True),
    Column("stamp", Text, primary_key=True),
    _ms("first_seen_ms"),
    _ms("welcomed_at_ms", nullable=True),
    _ms("opted_out_at_ms", nullable=True),
)

device_users = Table(
    "device_users",
    metadata,
    _workspace(primary_key=True),
    Column("stamp", Text, primary_key=True),
    Column("mpid", BigInteger, primary_key=True, autoincrement=False),
    Column("identities", _Json, nullable=False),  # {type: {"value": …, "set_at_ms": …}}
    Column("is_logged_in", Boolean, nullable=False),
    _ms("first_seen_ms"),
    _ms("last_seen_ms"),
    Index(None, "workspace_id", "mpid"),
    Index(None, "workspace_id", "first_seen_ms"),
)

visits = Table(
    "visits",
    metadata,
    _number(),
    _workspace(),
    Column("token_hash", Text, nullable=False, unique=True),
    Column("previous_token_hash", Text, index=True),
    _ms("renewed_at_ms"),
    Column("device_stamp", Text, nullable=False),
    Column("customer_id", Text),
    Column("current_mpid", BigInteger),
    Column("idsync_context", Text),
    Column("cookie_session", _Json, nullable=False),
    Column("lease_token", Text),
    _ms("lease_until_ms", nullable=True),
    _ms("begun_at_ms"),
    Index(None, "workspace_id", "device_stamp"),
    sqlite_autoincrement=True,
)

sessions = Table(
    "sessions",
    metadata,
    _number(),
    _workspace(),
    Column("device_stamp", Text, nullable=False),
    Column("visit_id", _Id, ForeignKey("visits.id", ondelete="CASCADE"), nullable=False),
    Column("session_uuid", Text, nullable=False),
    Column("user_agent", Text, nullable=False),
    Column("last_sequence", Integer, nullable=False),
    _ms("started_at_ms"),
    _ms("last_activity_ms"),
    _ms("ended_at_ms", nullable=True),
    # A device has one live session at most; this index is also how the live one is found.
    Index(
        "uq_sessions_live",
        "workspace_id",
        "device_stamp",
        unique=True,
        sqlite_where=text("ended_at_ms IS NULL"),
        postgresql_where=text("ended_at_ms IS NULL"),
    ),
    sqlite_autoincrement=True,
)

identity_intents = Table(
    "identity_intents",
    metadata,
    _number(),
    _workspace(),
    Column("visit_id", _Id, ForeignKey("visits.id", ondelete="CASCADE"), nullable=False),
    Column("action", Text, nullable=False),  # identify, login, logout, modify
    Column("identities", _Json, nullable=False),  # {type: value}; null takes one away
    Column("request_id", Text, nullable=False),
    Column("state", Text, nullable=False),  # pending, done, refused
    Column("attempts", Integer, nullable=False),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("previous_mpid", BigInteger),
    Column("mpid", BigInteger),
    _ms("owed_since_ms"),
    _ms("next_attempt_ms"),
    _ms("closed_at_ms", nullable=True),
    Index(None, "visit_id"),
    Index(
        "ix_identity_intents_due",
        "next_attempt_ms",
        sqlite_where=text("state = 'pending'"),
        postgresql_where=text("state = 'pending'"),
    ),
    sqlite_autoincrement=True,
)

form_submissions = Table(
    "form_submissions",
    metadata,
    _workspace(primary_key=True),
    Column("visit_id", _Id, primary_key=True, autoincrement=False),
    Column("token", Text, primary_key=True),
    Column("body_digest", Text, nullable=False),
    Column("location", Text, nullable=False),
    _ms("submitted_at_ms"),
)

# ── what happened? · owner: tracker ──────────────────────────────────────────────────────────────

# What clients other than the store's own pages sent, once each.
batches = Table(
    "batches",
    metadata,
    _number(),
    _workspace(is_there=True),
    Column("source_request_id", Text, nullable=False),
    Column("mpid", BigInteger, nullable=False),
    Column("device_stamp", Text),
    Column("channel", Text, nullable=False),  # javascript, server_to_server
    Column("environment", Text, nullable=False),
    Column("is_historical", Boolean, nullable=False),
    Column("facts", _Json, nullable=False),  # device_info and whatever else its messages pass on
    _ms("received_at_ms"),
    UniqueConstraint("workspace_id", "source_request_id"),
    sqlite_autoincrement=True,
)

# Logged by a page, within a visit and a session; or sent by a client, within a batch.
events = Table(
    "events",
    metadata,
    _number(),
    _workspace(),
    Column("visit_id", _Id),
    Column("session_id", _Id),
    Column("session_sequence", Integer),
    Column("copied_from", _Id),  # the event of another person that an alias carried over
    Column("batch_id", _Id),
    Column("request_id", Text, nullable=False),
    Column("intent_id", _Id),  # the call whose answer will say whose event this is
    Column("mpid", BigInteger),
    Column("event_type", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("data", _Json, nullable=False),
    Column("source_message_id", Text, nullable=False),
    Column("code_place", Text, nullable=False),  # "higgs_shop/pages/cart.py:41"
    _ms("logged_at_ms"),
    UniqueConstraint("workspace_id", "source_message_id"),
    Index(None, "workspace_id", "visit_id", "id"),
    Index(None, "workspace_id", "mpid", "logged_at_ms", "id"),
    Index(
        "ix_events_unattributed",
        "intent_id",
        sqlite_where=text("mpid IS NULL"),
        postgresql_where=text("mpid IS NULL"),
    ),
    Index(
        "ix_events_of_batch",
        "workspace_id",
        "batch_id",
        sqlite_where=text("batch_id IS NOT NULL"),
        postgresql_where=text("batch_id IS NOT NULL"),
    ),
    sqlite_autoincrement=True,
)

user_attributes = Table(
    "user_attributes",
    metadata,
    _workspace(primary_key=True),
    Column("mpid", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),
    Column("value", _Json),
    Column("told_by", Text),  # the device whose client said so; null: the shop, or a server
    _ms("set_at_ms"),
)

# What one person does on one device in one session, until an output gets it together.
gatherings = Table(
    "gatherings",
    metadata,
    _number(),
    _workspace(),
    Column("device_stamp", Text, nullable=False),  # empty: none; the session likewise
    Column("session_uuid", Text, nullable=False),
    Column("output_id", _Id, nullable=False),
    Column("mpid", BigInteger, nullable=False),
    Column("channel", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("waits_for", Text, nullable=False),  # session, time, nothing: it is to be handed over
    Column("size", Integer, nullable=False),
    _ms("since_ms"),  # when it began; of those that wait for a session, its last sign of life
    Index(
        "uq_gatherings_key",
        "workspace_id",
        "device_stamp",
        "session_uuid",
        "output_id",
        "mpid",
        "channel",
        "environment",
        unique=True,
    ),
    Index(None, "waits_for", "since_ms"),
    Index(None, "output_id"),
    sqlite_autoincrement=True,
)

gathered_events = Table(
    "gathered_events",
    metadata,
    _number(),
    _workspace(),
    Column("gathering_id", _Id, ForeignKey("gatherings.id", ondelete="CASCADE"), nullable=False),
    Column("event_id", _Id),  # null: a batch without events
    Column("event_type", Text, nullable=False),
    Column("data", Text, nullable=False),  # JSON, as it will stand in the body
    Column("facts", _Json, nullable=False),  # {"person": …, "origin": …} as known at the time
    Column("session_sequence", Integer),
    _ms("happened_at_ms"),
    _ms("received_at_ms"),
    Index(None, "gathering_id", "happened_at_ms", "id"),
    Index(None, "workspace_id", "event_id"),
    sqlite_autoincrement=True,
)

# ── where events go · owner: outputs ─────────────────────────────────────────────────────────────

outputs = Table(
    "outputs",
    metadata,
    _number(),
    _workspace(is_there=True),
    Column("name", Text, nullable=False),
    Column("settings", Text, nullable=False),  # JSON of OutputSettings, read as text: it is cached
    Column("authorization", Text, nullable=False),
    Column("secrets", _Json, nullable=False),  # whsec_…, each signs; none: the store's own
    Column("from_environment", _Json, nullable=False),  # settings that the environment gives
    Column("state", Text, nullable=False),  # running, paused
    Column("pause_reason", Text, nullable=False),
    _ms("paused_at_ms", nullable=True),
    Column("is_full", Boolean, nullable=False),
    Column("gathering", Text, nullable=False),  # no, yes, ending: something gathered is left
    _ms("unreachable_since_ms", nullable=True),  # null: when last tried, somebody answered
    _ms("left_alone_until_ms", nullable=True),
    _ms("created_at_ms"),
    UniqueConstraint("workspace_id", "name"),
    Index(
        "ix_outputs_ending",
        "id",
        sqlite_where=text("gathering = 'ending'"),
        postgresql_where=text("gathering = 'ending'"),
    ),
    sqlite_autoincrement=True,
)

# ── the durable hand-over · owner: outbox ────────────────────────────────────────────────────────

mailboxes = Table(
    "mailboxes",
    metadata,
    _workspace(primary_key=True),
    Column("output_id", _Id, primary_key=True, autoincrement=False),
    Column("mpid", BigInteger, primary_key=True, autoincrement=False),
    Column("last_sequence", Integer, nullable=False),
    Column(
        "delivered_sequence", Integer, nullable=False
    ),  # the highest that was delivered; 0: none
    _ms("due_at_ms", nullable=True),  # when its first waiting message may be sent; null: none waits
    Column("lease_token", Text),
    _ms("lease_until_ms", nullable=True),
    Index(None, "output_id", "due_at_ms"),
)

messages = Table(
    "messages",
    metadata,
    _number(),
    _workspace(),
    Column("output_id", _Id, nullable=False),
    Column("mpid", BigInteger, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("event_id", _Id),  # null: several events, a batch without events, or an alias request
    Column("webhook_id", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),  # waiting, delivered, dead
    Column("attempts", Integer, nullable=False),
    Column("attempts_before", Integer, nullable=False),  # those that were made before its replay
    Column("replay_id", _Id),
    Column("last_status", Integer),
    Column("last_error", Text),
    _ms("enqueued_at_ms"),
    _ms("next_attempt_ms"),
    _ms("closed_at_ms", nullable=True),
    _ms("delivered_before_ms", nullable=True),  # when it was, before it was replayed
    Index(None, "workspace_id", "event_id"),
    # The mailbox numbers them. What is closed leaves this index, and is not looked for in it.
    Index(
        "uq_messages_waiting",
        "workspace_id",
        "output_id",
        "mpid",
        "sequence",
        unique=True,
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
    Index(
        "ix_messages_replayed",
        "replay_id",
        "state",
        sqlite_where=text("replay_id IS NOT NULL"),
        postgresql_where=text("replay_id IS NOT NULL"),
    ),
    Index(
        "ix_messages_closed",
        "closed_at_ms",
        sqlite_where=text("closed_at_ms IS NOT NULL"),
        postgresql_where=text("closed_at_ms IS NOT NULL"),
    ),
    # What is looked at and replayed, one state at a time: of everybody, and of one person. What waits
    # of a person is found by its mailbox, so that enqueuing has an index less to write to.
    Index(None, "output_id", "state", "id"),
    Index(
        "ix_messages_closed_of_person",
        "output_id",
        "mpid",
        "state",
        "id",
        sqlite_where=text("state <> 'waiting'"),
        postgresql_where=text("state <> 'waiting'"),
    ),
    sqlite_autoincrement=True,
)

# What somebody asked to be delivered again. How far it is, its messages tell.
replays = Table(
    "replays",
    metadata,
    _number(),
    _workspace(),
    Column("output_id", _Id, nullable=False),
    Column("chosen", _Json, nullable=False),  # what was asked for: the fields of a ReplayChoice
    Column("last_id", _Id, nullable=False),  # what is newer is not part of it
    Column("looked_at_id", _Id, nullable=False),  # up to here, all that was asked for is chosen
    Column("total", Integer, nullable=False),
    _ms("started_at_ms"),
    _ms("chosen_at_ms", nullable=True),  # null: there may be more to choose
    Index(None, "output_id", "id"),
    Index(
        "ix_replays_choosing",
        "id",
        sqlite_where=text("chosen_at_ms IS NULL"),
        postgresql_where=text("chosen_at_ms IS NULL"),
    ),
    sqlite_autoincrement=True,
)

# How many messages were given up at an output. Never less than before: replays do not change it.
# It has rows of its own, so that counting waits for nobody who holds the output.
given_up_totals = Table(
    "given_up_totals",
    metadata,
    _workspace(primary_key=True),
    Column("output_id", _Id, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# The events of a message that has several.
message_events = Table(
    "message_events",
    metadata,
    _workspace(primary_key=True),
    Column("event_id", _Id, primary_key=True, autoincrement=False),
    Column(
        "message_id",
        _Id,
        ForeignKey("messages.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Index(None, "message_id"),
    sqlite_with_rowid=False,
)

delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    _number(),
    _workspace(),
    Column("output_id", _Id, nullable=False),
    Column("message_id", _Id, ForeignKey("messages.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("status_code", Integer),
    Column("error", Text),
    Column("answer", Text, nullable=False),
    Column("retry_after", Text),  # as the answer had it
    Column("location", Text),  # where a redirect pointed, which nobody followed
    Column("wait_ms", BigInteger),  # until the next attempt, as it was planned; null: there is none
    Column("duration_ms", Integer, nullable=False),
    _ms("started_at_ms"),
    Index(None, "message_id"),
    Index(None, "output_id", "id"),
    sqlite_autoincrement=True,
)

# ── the built-in receiver · owner: inbox ─────────────────────────────────────────────────────────

# An address to post to: how it answers, and what it checks signatures against.
inbox_sessions = Table(
    "inbox_sessions",
    metadata,
    _workspace(primary_key=True),
    Column("token", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("signing_secret", Text),  # null: the store's own, or none
    Column("status", Integer, nullable=False),
    Column("retry_after_seconds", Integer),
    Column("delay_ms", Integer, nullable=False),
    Column("drop_connection", Boolean, nullable=False),
    Column("times", Integer),  # to how many more requests; null: to all
    _ms("created_at_ms"),
    Index(None, "workspace_id", "created_at_ms", "token"),
)

inbox_requests = Table(
    "inbox_requests",
    metadata,
    _number(),
    _workspace(),
    Column("token", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("headers", _Json, nullable=False),  # [[name, value], …] as they came
    Column("webhook_id", Text),
    Column("attempt", Integer, nullable=False),  # at this webhook-id
    Column("same_body", Boolean),  # as all earlier attempts; null: there was none
    Column("event_type", Text),
    Column("event_name", Text),
    Column("mpid", Text),
    Column("signature", Text, nullable=False),  # valid, invalid, missing, unchecked
    Column("signature_reason", Text, nullable=False),
    Column("sender", Text),  # the name of the output that signed it
    Column("answer", _Json, nullable=False),  # the fields of inbox.Answer
    _ms("received_at_ms"),
    Column("body_digest", Text, nullable=False),
    # The long ones come last: what stands before them is read without them.
    Column("searched", Text, nullable=False),  # what a search looks through, in small letters
    Column("body", LargeBinary, nullable=False),
    Index(None, "workspace_id", "token", "id"),
    Index(None, "workspace_id", "token", "webhook_id"),
    sqlite_autoincrement=True,
)

# ── what could not be taken in · owner: intake ──────────────────────────────────────────────────

quarantined_batches = Table(
    "quarantined_batches",
    metadata,
    _number(),
    _workspace(is_there=True),
    Column("body_digest", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("faults", _Json, nullable=False),  # sentences, each naming the member
    Column("kept_events", Integer, nullable=False),  # its other events, which are stored
    Column("body", LargeBinary, nullable=False),
    _ms("received_at_ms"),
    Column("times", Integer, nullable=False),  # how often it came
    Column("last_channel", Text, nullable=False),
    _ms("last_received_at_ms"),
    UniqueConstraint("workspace_id", "body_digest"),
    Index(None, "workspace_id", "id"),
    sqlite_autoincrement=True,
)

# ── background work · owner: background ──────────────────────────────────────────────────────────

heartbeats = Table(
    "heartbeats",
    metadata,
    Column("worker", Text, primary_key=True),
    _ms("beat_at_ms"),
)
