"""The first store."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_JSON = sa.JSON(none_as_null=True)


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "workspaces",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("api_key", sa.Text(), nullable=False),
        sa.Column("api_secret", sa.Text(), nullable=False),
        sa.Column("identity_strategy", sa.Text(), nullable=False),
        sa.Column("identity_priority", _JSON, nullable=False),
        sa.Column("login_ids", _JSON, nullable=False),
        sa.Column("unique_ids", _JSON, nullable=False),
        sa.Column("immutable_ids", _JSON, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workspaces"),
        sa.UniqueConstraint("api_key", name="uq_workspaces_api_key"),
    )
    op.create_table(
        "aliases",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("source_mpid", sa.BigInteger(), nullable=False),
        sa.Column("destination_mpid", sa.BigInteger(), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("end_ms", sa.BigInteger(), nullable=False),
        sa.Column("device_stamp", sa.Text(), nullable=True),
        sa.Column("request", _JSON, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("copied_events", sa.Integer(), nullable=True),
        sa.Column("accepted_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("due_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("done_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_aliases"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_aliases_due",
        "aliases",
        ["due_at_ms"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        "ix_aliases_workspace_id_destination_mpid",
        "aliases",
        ["workspace_id", "destination_mpid"],
        unique=False,
    )
    op.create_index(
        "ix_aliases_workspace_id_source_mpid",
        "aliases",
        ["workspace_id", "source_mpid"],
        unique=False,
    )
    op.create_table(
        "batches",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("source_request_id", sa.Text(), nullable=False),
        sa.Column("mpid", sa.BigInteger(), nullable=False),
        sa.Column("device_stamp", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("is_historical", sa.Boolean(), nullable=False),
        sa.Column("facts", _JSON, nullable=False),
        sa.Column("received_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name="fk_batches_workspace_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_batches"),
        sa.UniqueConstraint(
            "workspace_id", "source_request_id", name="uq_batches_workspace_id_source_request_id"
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "carts",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("visit_id", _ID, nullable=True),
        sa.Column("customer_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_carts"),
        sa.UniqueConstraint(
            "workspace_id", "customer_id", name="uq_carts_workspace_id_customer_id"
        ),
        sa.UniqueConstraint("workspace_id", "visit_id", name="uq_carts_workspace_id_visit_id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "checkouts",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("visit_id", _ID, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("lines", _JSON, nullable=False),
        sa.Column("shipping", _JSON, nullable=True),
        sa.Column("has_paid", sa.Boolean(), nullable=False),
        sa.Column("begun_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_checkouts"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_checkouts_workspace_id_visit_id_state",
        "checkouts",
        ["workspace_id", "visit_id", "state"],
        unique=False,
    )
    op.create_table(
        "customers",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("email_key", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("wants_marketing", sa.Boolean(), nullable=False),
        sa.Column("is_ready_account", sa.Boolean(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "customer_id", name="pk_customers"),
        sa.UniqueConstraint(
            "workspace_id", "email_key", name="uq_customers_workspace_id_email_key"
        ),
    )
    op.create_table(
        "device_users",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("stamp", sa.Text(), nullable=False),
        sa.Column("mpid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("identities", _JSON, nullable=False),
        sa.Column("is_logged_in", sa.Boolean(), nullable=False),
        sa.Column("first_seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "stamp", "mpid", name="pk_device_users"),
    )
    op.create_index(
        "ix_device_users_workspace_id_first_seen_ms",
        "device_users",
        ["workspace_id", "first_seen_ms"],
        unique=False,
    )
    op.create_index(
        "ix_device_users_workspace_id_mpid",
        "device_users",
        ["workspace_id", "mpid"],
        unique=False,
    )
    op.create_table(
        "devices",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("stamp", sa.Text(), nullable=False),
        sa.Column("first_seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("welcomed_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("opted_out_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "stamp", name="pk_devices"),
    )
    op.create_table(
        "events",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("visit_id", _ID, nullable=True),
        sa.Column("session_id", _ID, nullable=True),
        sa.Column("session_sequence", sa.Integer(), nullable=True),
        sa.Column("copied_from", _ID, nullable=True),
        sa.Column("batch_id", _ID, nullable=True),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("intent_id", _ID, nullable=True),
        sa.Column("mpid", sa.BigInteger(), nullable=True),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("data", _JSON, nullable=False),
        sa.Column("source_message_id", sa.Text(), nullable=False),
        sa.Column("code_place", sa.Text(), nullable=False),
        sa.Column("logged_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sa.UniqueConstraint(
            "workspace_id", "source_message_id", name="uq_events_workspace_id_source_message_id"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_events_of_batch",
        "events",
        ["workspace_id", "batch_id"],
        unique=False,
        sqlite_where=sa.text("batch_id IS NOT NULL"),
        postgresql_where=sa.text("batch_id IS NOT NULL"),
    )
    op.create_index(
        "ix_events_unattributed",
        "events",
        ["intent_id"],
        unique=False,
        sqlite_where=sa.text("mpid IS NULL"),
        postgresql_where=sa.text("mpid IS NULL"),
    )
    op.create_index(
        "ix_events_workspace_id_mpid_logged_at_ms_id",
        "events",
        ["workspace_id", "mpid", "logged_at_ms", "id"],
        unique=False,
    )
    op.create_index(
        "ix_events_workspace_id_visit_id_id",
        "events",
        ["workspace_id", "visit_id", "id"],
        unique=False,
    )
    op.create_table(
        "form_submissions",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("visit_id", _ID, autoincrement=False, nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("body_digest", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("submitted_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "visit_id", "token", name="pk_form_submissions"),
    )
    op.create_table(
        "gatherings",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("device_stamp", sa.Text(), nullable=False),
        sa.Column("session_uuid", sa.Text(), nullable=False),
        sa.Column("output_id", _ID, nullable=False),
        sa.Column("mpid", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("waits_for", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_gatherings"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_gatherings_key",
        "gatherings",
        [
            "workspace_id",
            "device_stamp",
            "session_uuid",
            "output_id",
            "mpid",
            "channel",
            "environment",
        ],
        unique=True,
    )
    op.create_index("ix_gatherings_output_id", "gatherings", ["output_id"], unique=False)
    op.create_index(
        "ix_gatherings_waits_for_since_ms", "gatherings", ["waits_for", "since_ms"], unique=False
    )
    op.create_table(
        "given_up_totals",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("output_id", _ID, autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "output_id", name="pk_given_up_totals"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "heartbeats",
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("beat_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("worker", name="pk_heartbeats"),
    )
    op.create_table(
        "identity_decisions",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("request_digest", sa.Text(), nullable=False),
        sa.Column("previous_mpid", sa.BigInteger(), nullable=True),
        sa.Column("mpid", sa.BigInteger(), nullable=False),
        sa.Column("record", _JSON, nullable=False),
        sa.Column("decided_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_identity_decisions"),
    )
    op.create_index(
        "ix_identity_decisions_moved_on",
        "identity_decisions",
        ["workspace_id", "previous_mpid", "id"],
        unique=False,
        sqlite_where=sa.text("previous_mpid <> mpid"),
        postgresql_where=sa.text("previous_mpid <> mpid"),
    )
    op.create_index(
        "ix_identity_decisions_request",
        "identity_decisions",
        ["workspace_id", "request_id", "request_digest"],
        unique=True,
        sqlite_where=sa.text("request_id IS NOT NULL"),
        postgresql_where=sa.text("request_id IS NOT NULL"),
    )
    op.create_index(
        "ix_identity_decisions_workspace_id_mpid_id",
        "identity_decisions",
        ["workspace_id", "mpid", "id"],
        unique=False,
    )
    op.create_table(
        "inbox_requests",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("headers", _JSON, nullable=False),
        sa.Column("webhook_id", sa.Text(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("same_body", sa.Boolean(), nullable=True),
        sa.Column("event_type", sa.Text(), nullable=True),
        sa.Column("event_name", sa.Text(), nullable=True),
        sa.Column("mpid", sa.Text(), nullable=True),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("signature_reason", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=True),
        sa.Column("answer", _JSON, nullable=False),
        sa.Column("received_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("body_digest", sa.Text(), nullable=False),
        sa.Column("searched", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_inbox_requests"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_inbox_requests_workspace_id_token_id",
        "inbox_requests",
        ["workspace_id", "token", "id"],
        unique=False,
    )
    op.create_index(
        "ix_inbox_requests_workspace_id_token_webhook_id",
        "inbox_requests",
        ["workspace_id", "token", "webhook_id"],
        unique=False,
    )
    op.create_table(
        "inbox_sessions",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("signing_secret", sa.Text(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("retry_after_seconds", sa.Integer(), nullable=True),
        sa.Column("delay_ms", sa.Integer(), nullable=False),
        sa.Column("drop_connection", sa.Boolean(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "token", name="pk_inbox_sessions"),
    )
    op.create_index(
        "ix_inbox_sessions_workspace_id_created_at_ms_token",
        "inbox_sessions",
        ["workspace_id", "created_at_ms", "token"],
        unique=False,
    )
    op.create_table(
        "mailboxes",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("output_id", _ID, autoincrement=False, nullable=False),
        sa.Column("mpid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last_sequence", sa.Integer(), nullable=False),
        sa.Column("delivered_sequence", sa.Integer(), nullable=False),
        sa.Column("due_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("lease_token", sa.Text(), nullable=True),
        sa.Column("lease_until_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "output_id", "mpid", name="pk_mailboxes"),
    )
    op.create_index(
        "ix_mailboxes_output_id_due_at_ms", "mailboxes", ["output_id", "due_at_ms"], unique=False
    )
    op.create_table(
        "messages",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("output_id", _ID, nullable=False),
        sa.Column("mpid", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("event_id", _ID, nullable=True),
        sa.Column("webhook_id", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("attempts_before", sa.Integer(), nullable=False),
        sa.Column("replay_id", _ID, nullable=True),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("enqueued_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("next_attempt_ms", sa.BigInteger(), nullable=False),
        sa.Column("closed_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("delivered_before_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_messages_closed",
        "messages",
        ["closed_at_ms"],
        unique=False,
        sqlite_where=sa.text("closed_at_ms IS NOT NULL"),
        postgresql_where=sa.text("closed_at_ms IS NOT NULL"),
    )
    op.create_index(
        "ix_messages_closed_of_person",
        "messages",
        ["output_id", "mpid", "state", "id"],
        unique=False,
        sqlite_where=sa.text("state <> 'waiting'"),
        postgresql_where=sa.text("state <> 'waiting'"),
    )
    op.create_index(
        "ix_messages_output_id_state_id", "messages", ["output_id", "state", "id"], unique=False
    )
    op.create_index(
        "ix_messages_replayed",
        "messages",
        ["replay_id", "state"],
        unique=False,
        sqlite_where=sa.text("replay_id IS NOT NULL"),
        postgresql_where=sa.text("replay_id IS NOT NULL"),
    )
    op.create_index(
        "uq_messages_waiting",
        "messages",
        ["workspace_id", "output_id", "mpid", "sequence"],
        unique=True,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        "ix_messages_workspace_id_event_id", "messages", ["workspace_id", "event_id"], unique=False
    )
    op.create_table(
        "orders",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("checkout_id", _ID, nullable=False),
        sa.Column("visit_id", _ID, nullable=True),
        sa.Column("customer_id", sa.Text(), nullable=True),
        sa.Column("ship_to", _JSON, nullable=False),
        sa.Column("lines", _JSON, nullable=False),
        sa.Column("subtotal_cents", sa.Integer(), nullable=False),
        sa.Column("shipping_cents", sa.Integer(), nullable=False),
        sa.Column("tax_cents", sa.Integer(), nullable=False),
        sa.Column("total_cents", sa.Integer(), nullable=False),
        sa.Column("placed_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "number", name="pk_orders"),
        sa.UniqueConstraint("checkout_id", name="uq_orders_checkout_id"),
    )
    op.create_index(
        "ix_orders_workspace_id_customer_id",
        "orders",
        ["workspace_id", "customer_id"],
        unique=False,
    )
    op.create_table(
        "outputs",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("authorization", sa.Text(), nullable=False),
        sa.Column("secrets", _JSON, nullable=False),
        sa.Column("from_environment", _JSON, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("pause_reason", sa.Text(), nullable=False),
        sa.Column("paused_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("is_full", sa.Boolean(), nullable=False),
        sa.Column("gathering", sa.Text(), nullable=False),
        sa.Column("unreachable_since_ms", sa.BigInteger(), nullable=True),
        sa.Column("left_alone_until_ms", sa.BigInteger(), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name="fk_outputs_workspace_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_outputs"),
        sa.UniqueConstraint("workspace_id", "name", name="uq_outputs_workspace_id_name"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_outputs_ending",
        "outputs",
        ["id"],
        unique=False,
        sqlite_where=sa.text("gathering = 'ending'"),
        postgresql_where=sa.text("gathering = 'ending'"),
    )
    op.create_table(
        "profile_identities",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("identity_type", sa.Text(), nullable=False),
        sa.Column("identity_value", sa.Text(), nullable=False),
        sa.Column("mpid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("lower_case", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint(
            "workspace_id", "identity_type", "identity_value", "mpid", name="pk_profile_identities"
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_profile_identities_lower_case",
        "profile_identities",
        ["workspace_id", "lower_case"],
        unique=False,
        sqlite_where=sa.text("lower_case IS NOT NULL"),
        postgresql_where=sa.text("lower_case IS NOT NULL"),
    )
    op.create_table(
        "former_identities",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("mpid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("identity_type", sa.Text(), nullable=False),
        sa.Column("identity_value", sa.Text(), nullable=False),
        sa.Column("sought", sa.Text(), nullable=False),
        sa.Column("lost_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "workspace_id", "mpid", "identity_type", "identity_value", name="pk_former_identities"
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_former_identities_workspace_id_sought_lost_at_ms",
        "former_identities",
        ["workspace_id", "sought", "lost_at_ms"],
        unique=False,
    )
    op.create_table(
        "profiles",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("mpid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("source_mpid", sa.BigInteger(), nullable=True),
        sa.Column("identities", _JSON, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("first_seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name="fk_profiles_workspace_id"
        ),
        sa.PrimaryKeyConstraint("workspace_id", "mpid", name="pk_profiles"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_profiles_workspace_id_created_at_ms_mpid",
        "profiles",
        ["workspace_id", "created_at_ms", "mpid"],
        unique=False,
    )
    op.create_index(
        "ix_profiles_source",
        "profiles",
        ["workspace_id", "source_mpid"],
        unique=False,
        sqlite_where=sa.text("source_mpid IS NOT NULL"),
        postgresql_where=sa.text("source_mpid IS NOT NULL"),
    )
    op.create_table(
        "quarantined_batches",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("body_digest", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("faults", _JSON, nullable=False),
        sa.Column("kept_events", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("received_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("last_channel", sa.Text(), nullable=False),
        sa.Column("last_received_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name="fk_quarantined_batches_workspace_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_quarantined_batches"),
        sa.UniqueConstraint(
            "workspace_id", "body_digest", name="uq_quarantined_batches_workspace_id_body_digest"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_quarantined_batches_workspace_id_id",
        "quarantined_batches",
        ["workspace_id", "id"],
        unique=False,
    )
    op.create_table(
        "replays",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("output_id", _ID, nullable=False),
        sa.Column("chosen", _JSON, nullable=False),
        sa.Column("last_id", _ID, nullable=False),
        sa.Column("looked_at_id", _ID, nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("started_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("chosen_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_replays"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_replays_choosing",
        "replays",
        ["id"],
        unique=False,
        sqlite_where=sa.text("chosen_at_ms IS NULL"),
        postgresql_where=sa.text("chosen_at_ms IS NULL"),
    )
    op.create_index("ix_replays_output_id_id", "replays", ["output_id", "id"], unique=False)
    op.create_table(
        "user_attributes",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("mpid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", _JSON, nullable=True),
        sa.Column("told_by", sa.Text(), nullable=True),
        sa.Column("set_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "mpid", "name", name="pk_user_attributes"),
    )
    op.create_table(
        "visits",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("previous_token_hash", sa.Text(), nullable=True),
        sa.Column("renewed_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("device_stamp", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=True),
        sa.Column("current_mpid", sa.BigInteger(), nullable=True),
        sa.Column("idsync_context", sa.Text(), nullable=True),
        sa.Column("cookie_session", _JSON, nullable=False),
        sa.Column("lease_token", sa.Text(), nullable=True),
        sa.Column("lease_until_ms", sa.BigInteger(), nullable=True),
        sa.Column("begun_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_visits"),
        sa.UniqueConstraint("token_hash", name="uq_visits_token_hash"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_visits_previous_token_hash", "visits", ["previous_token_hash"], unique=False
    )
    op.create_index(
        "ix_visits_workspace_id_device_stamp",
        "visits",
        ["workspace_id", "device_stamp"],
        unique=False,
    )
    op.create_table(
        "cart_lines",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("cart_id", _ID, nullable=False),
        sa.Column("product_id", sa.Text(), nullable=False),
        sa.Column("color", sa.Text(), nullable=False),
        sa.Column("size", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("added_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cart_id"], ["carts.id"], name="fk_cart_lines_cart_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_cart_lines"),
        sa.UniqueConstraint(
            "cart_id",
            "product_id",
            "color",
            "size",
            name="uq_cart_lines_cart_id_product_id_color_size",
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "decision_profiles",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("mpid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("decision_id", _ID, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["decision_id"],
            ["identity_decisions.id"],
            name="fk_decision_profiles_decision_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "mpid", "decision_id", name="pk_decision_profiles"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_decision_profiles_decision_id", "decision_profiles", ["decision_id"], unique=False
    )
    op.create_table(
        "delivery_attempts",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("output_id", _ID, nullable=False),
        sa.Column("message_id", _ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("retry_after", sa.Text(), nullable=True),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("wait_ms", sa.BigInteger(), nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("started_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["messages.id"],
            name="fk_delivery_attempts_message_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_delivery_attempts"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_delivery_attempts_message_id", "delivery_attempts", ["message_id"], unique=False
    )
    op.create_index(
        "ix_delivery_attempts_output_id_id", "delivery_attempts", ["output_id", "id"], unique=False
    )
    op.create_table(
        "gathered_events",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("gathering_id", _ID, nullable=False),
        sa.Column("event_id", _ID, nullable=True),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("facts", _JSON, nullable=False),
        sa.Column("session_sequence", sa.Integer(), nullable=True),
        sa.Column("happened_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("received_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["gathering_id"],
            ["gatherings.id"],
            name="fk_gathered_events_gathering_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_gathered_events"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_gathered_events_gathering_id_happened_at_ms_id",
        "gathered_events",
        ["gathering_id", "happened_at_ms", "id"],
        unique=False,
    )
    op.create_index(
        "ix_gathered_events_workspace_id_event_id",
        "gathered_events",
        ["workspace_id", "event_id"],
        unique=False,
    )
    op.create_table(
        "identity_intents",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("visit_id", _ID, nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("identities", _JSON, nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("previous_mpid", sa.BigInteger(), nullable=True),
        sa.Column("mpid", sa.BigInteger(), nullable=True),
        sa.Column("owed_since_ms", sa.BigInteger(), nullable=False),
        sa.Column("next_attempt_ms", sa.BigInteger(), nullable=False),
        sa.Column("closed_at_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["visit_id"], ["visits.id"], name="fk_identity_intents_visit_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_identity_intents"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_identity_intents_due",
        "identity_intents",
        ["next_attempt_ms"],
        unique=False,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index("ix_identity_intents_visit_id", "identity_intents", ["visit_id"], unique=False)
    op.create_table(
        "message_events",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("event_id", _ID, autoincrement=False, nullable=False),
        sa.Column("message_id", _ID, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["messages.id"],
            name="fk_message_events_message_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "event_id", "message_id", name="pk_message_events"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_message_events_message_id", "message_events", ["message_id"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("device_stamp", sa.Text(), nullable=False),
        sa.Column("visit_id", _ID, nullable=False),
        sa.Column("session_uuid", sa.Text(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.Column("last_sequence", sa.Integer(), nullable=False),
        sa.Column("started_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_activity_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["visit_id"], ["visits.id"], name="fk_sessions_visit_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_sessions_live",
        "sessions",
        ["workspace_id", "device_stamp"],
        unique=True,
        sqlite_where=sa.text("ended_at_ms IS NULL"),
        postgresql_where=sa.text("ended_at_ms IS NULL"),
    )
