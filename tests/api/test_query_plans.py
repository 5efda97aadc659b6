"""What is asked at every page and in every background round is found by an index, however full the store."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, delete, event, insert

from higgs_shop import outbox
from higgs_shop.database import Database
from higgs_shop.outputs import Output, leave_alone, list_outputs, take_probe
from higgs_shop.tables import messages, replays
from higgs_shop.tracker import count_gathered, send_test_event
from tests.api.conftest import OpenStore, Store
from tests.api.journeys import mpid, sign_out, sign_up

# Live sessions are few, and their partial index holds no others. Outputs are as many as a person has
# set up. Mailboxes are gone through once, at a start, for what lies too far ahead. Subqueries are gone
# through from end to end, once they were found by index themselves. Some queries take the first rows of
# an index, and an output has hardly ever just been told to gather no more.
_ALLOWED = re.compile(
    r"SCAN (CONSTANT ROW|sessions USING INDEX uq_sessions_live|(outputs|mailboxes|carriers|found|newest|page)$)"
    r"|SEARCH profiles USING (COVERING )?INDEX ix_profiles_workspace_id_created_at_ms_mpid "
    r"|SEARCH events USING COVERING INDEX ix_events_workspace_id_visit_id_id "
    r"|SCAN workspaces USING COVERING INDEX sqlite_autoindex_workspaces_1$"
    # There are a hundred of them at most.
    r"|SEARCH inbox_sessions USING (COVERING )?INDEX \w+ \(workspace_id=\?\)"
    r"|SCAN outputs USING INDEX ix_outputs_ending$"
    # Replays that are still being chosen are few, and this index holds no others.
    r"|SCAN replays USING INDEX ix_replays_choosing$"
    # As many as there are processes, and outputs. What waits at all outputs is counted to a bound.
    r"|SCAN heartbeats USING INDEX sqlite_autoindex_heartbeats_1$"
    r"|SCAN given_up_totals$"
    r"|SCAN messages USING INDEX uq_messages_waiting$"
    r"|SEARCH device_users USING INDEX ix_device_users_workspace_id_first_seen_ms "
    r"|SEARCH outputs USING INDEX sqlite_autoindex_outputs_1 "
    r"|SEARCH messages USING INDEX uq_messages_waiting "
)
_WHOLE = re.compile(r"SCAN|SEARCH .*\(workspace_id=\?\)")


@contextmanager
def executed(database: Database) -> Iterator[dict[str, Any]]:
    """Every statement of the block that looks something up, with the last values given to it."""
    statements: dict[str, Any] = {}

    def remember(_c: object, _cursor: object, text: str, values: Any, *_: object) -> None:
        if text.startswith(("SELECT", "UPDATE", "DELETE")):
            statements[text] = values

    event.listen(database.engine, "before_cursor_execute", remember)
    try:
        yield statements
    finally:
        event.remove(database.engine, "before_cursor_execute", remember)


def scans(database: Database, statements: dict[str, Any]) -> list[str]:
    """Statements that read a whole table, or all that a workspace has in it."""
    found = []
    with database.read() as connection:
        for text, values in statements.items():
            one = values[0] if isinstance(values, list) else values
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", one)]
            found += [
                f"{step}: {text}"
                for step in plan
                if _WHOLE.match(step) and not _ALLOWED.match(step)
            ]
    return found


def test_a_page_reads_no_table_from_end_to_end(store: Store) -> None:
    with executed(store.parts.database) as statements:
        visitor = store.browser()
        visitor.get("/")
        visitor.get("/")

    assert len(statements) > 20
    assert scans(store.parts.database, statements) == []


def test_identity_calls_read_no_table_from_end_to_end(store: Store) -> None:
    """Also where a call takes values from others, is sent again, or is carried over later."""
    client = store.app.test_client()

    def ask(path: str, **members: Any) -> Any:
        body = {"environment": "development", **members}
        return client.post(path, json=body, headers={"x-mp-key": "demo-web-key"}).get_json()

    def move(action: str, **identities: str) -> Any:
        return ask(f"/identity/v1/{action}", request_id=f"r-{action}", known_identities=identities)[
            "mpid"
        ]

    with executed(store.parts.database) as statements:
        anonymous = move("identify", device_application_stamp="s-1")
        ada, again = (move("login", customerid="C-1", email="ada@example.test") for _ in range(2))
        assert again == ada
        ask(
            "/identity/v1/login",
            known_identities={"customerid": "C-2", "email": "ada@example.test"},
        )
        change = {"identity_type": "email", "old_value": None, "new_value": "bob@example.test"}
        ask(f"/identity/v1/{ada}/modify", identity_changes=[change])
        assert move("search", email="bob@example.test") == ada
        move("logout", device_application_stamp="s-1")
        ask(
            "/webevents/v1/identity/demo-web-key/Alias",
            request_type="alias",
            data={"source_mpid": anonymous, "destination_mpid": ada},
        )
        store.parts.background.do_round()

    for table in ("profile_identities", "identity_decisions", "aliases", "events"):
        assert any(table in text for text in statements), table
    assert scans(store.parts.database, statements) == []


def test_looking_inside_reads_no_table_from_end_to_end(store: Store, open_store: OpenStore) -> None:
    visitor = store.browser()
    number = mpid(sign_up(visitor))
    sign_out(visitor)
    question = "action=login&type=email&value=grace.field%40example.com&previous_mpid=1"
    paths = [
        "/readyz",
        "/connections",
        "/connections/webhook",
        "/connections/webhook/deliveries",
        "/connections/webhook/deliveries?state=waiting&mpid=1&before=9",
        "/connections/webhook/replay?what=all&since=2026-01-31T10:30",
        "/inbox",
        "/inbox?before=9&q=x&type=screen_view&signature=valid",
        "/inbox/sessions",
        "/inbox/v1/sessions",
        "/inbox/v1/sessions/default/requests?since=1&mpid=5&webhook_id=m&name=x&event_type=y",
        "/inbox/v1/sessions/default/requests/count?q=x",
        "/x-ray",
        "/workspaces",
        "/workspaces/default",
        "/profiles",
        "/profiles?after=1_1",
        "/profiles?q=grace.field%40example.com",
        f"/profiles?q={number}",
        f"/profiles?q={number[-6:]}",
        "/profiles?kind=known&after=9_9",
        f"/profiles?{question}",
        f"/profiles?action=modify&mpid={number}&type=email&new_value=a%40example.com",
        "/intake",
        "/intake?before=9",
        f"/profiles/{number}",
        f"/profiles/{number}?history_before=9&events_before=9&{question}",
    ]
    remote = open_store(idsync_url="https://identity.example/v1")
    with executed(store.parts.database) as statements:
        for path in paths:
            assert visitor.get(path).status == 200
    with executed(remote.parts.database) as of_remote:
        for path in ("/profiles", f"/profiles?q={number}", "/profiles?q=x", f"/profiles/{number}"):
            assert remote.browser().get(path).status == 200

    everything = statements | of_remote
    assert any("decision_profiles" in text for text in everything)
    assert scans(store.parts.database, everything) == []


def test_the_inbox_takes_a_request_without_reading_the_others(store: Store) -> None:
    address = f"/inbox/{store.parts.secrets.inbox_token}"
    client = store.app.test_client()
    client.put("/inbox/v1/sessions/default/dial", json={"times": 1})
    with executed(store.parts.database) as statements:
        for _ in range(2):
            client.post(address, data=b"{}", headers={"webhook-id": "msg_1"})

    assert any("inbox_requests" in text for text in statements)
    assert scans(store.parts.database, statements) == []


def give_up(connection: Connection, output: Output, now_ms: int) -> None:
    """A dead letter."""
    outbox.enqueue(
        connection,
        workspace_id="default",
        output_id=output.id,
        mpid=1,
        drafts=[outbox.Draft(None, lambda _sequence, _id: b"{}")],
        now_ms=now_ms,
        dead_because="nobody wants it",
    )


def test_looking_at_deliveries_and_replaying_them_reads_no_table_from_end_to_end(
    store: Store,
) -> None:
    """However many an output was given: by state, by person, page by page."""
    store.browser().get("/")
    database = store.parts.database
    with database.write() as connection:
        (output,) = list_outputs(connection, "default")
        give_up(connection, output, store.clock())
        (last,) = outbox.list_messages(connection, output, mpid=1, most=1)
    with executed(database) as statements:
        with database.read() as connection:
            for mpid in (None, 1):
                for state in (None, "dead"):
                    outbox.list_messages(
                        connection, output, state=state, mpid=mpid, before_id=last.id, most=2
                    )
            outbox.get_message(connection, output, 1)
            outbox.list_attempts(connection, output, 1)
            outbox.count_messages(connection, output)
            outbox.newest_attempts(connection, output, most=2)
            outbox.tries_at(connection, output, 1)
            count_gathered(connection, output, most=2)
            outbox.progress_of(connection, output, 1)
            outbox.list_replays(connection, output, most=2)
        for choice in (
            outbox.ReplayChoice(),
            outbox.ReplayChoice(only_dead=False, from_ms=1, until_ms=2, webhook_id="x"),
            outbox.ReplayChoice(only_dead=False, mpid=1),
            outbox.ReplayChoice(message_ids=(1, 2)),
        ):
            with database.read() as connection:
                outbox.count_chosen(connection, output, choice, most=2)
            outbox.start_replay(database, output, choice, now_ms=1)
        with database.write() as connection:
            assert send_test_event(connection, output, now_ms=store.clock())
        for mpid in (None, 1):
            outbox.try_now(database, output, mpid=mpid, now_ms=0)
        with database.write() as connection:
            leave_alone(connection, output, since_ms=1, until_ms=2)
            (output,) = list_outputs(connection, "default")
            assert take_probe(connection, output, until_ms=3)
            assert outbox.waits_for_retry(connection, output, now_ms=1)
            assert not outbox.waits_for_retry(connection, output, mpid=2, now_ms=1)
        outbox.try_now(database, output, now_ms=0)

    assert len(statements) > 20
    assert scans(database, statements) == []
    with database.read() as connection:
        plans = [
            row[3]
            for text, values in statements.items()
            if "mpid = ?" in text and "ORDER BY messages." in text
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)
        ]
    for of_a_person in ("ix_messages_closed_of_person", "uq_messages_waiting"):
        assert any(of_a_person in plan for plan in plans)
    assert not any("ix_messages_output_id_state_id" in plan for plan in plans)
    assert not any("TEMP B-TREE" in plan for plan in plans)


def test_a_background_round_reads_no_table_from_end_to_end(store: Store) -> None:
    store.browser().get("/")

    with executed(store.parts.database) as statements:
        store.parts.background.do_round()

    assert statements
    assert scans(store.parts.database, statements) == []


def test_removing_what_is_old_reads_no_table_from_end_to_end(store: Store) -> None:
    """With a row of each kind that is old, so that every statement has something to do."""
    client = store.app.test_client()
    body = {"environment": "development", "mpid": 5, "events": [{"event_type": "opt_out"}]}
    for upload in (body, {"wrong": 1}):
        client.post("/webevents/v3/JS/demo-web-key/events", json=upload)
    client.post(f"/inbox/{store.parts.secrets.inbox_token}", data=b"{}")
    database = store.parts.database
    with database.write() as connection:
        (output,) = list_outputs(connection, "default")
        give_up(connection, output, store.clock())
        # Its event has been delivered and forgotten.
        connection.execute(delete(messages).where(messages.c.mpid == 5))
        at_ms = store.clock()
        replay = {
            "workspace_id": "default",
            "output_id": output.id,
            "chosen": {},
            "last_id": 0,
            "looked_at_id": 0,
            "total": 0,
            "started_at_ms": at_ms,
            "chosen_at_ms": at_ms,
        }
        connection.execute(insert(replays), replay)
    store.clock.forward(minutes=31 * 24 * 60)

    with executed(database) as statements:
        store.parts.background.do_round()

    removed = {text.split()[2] for text in statements if text.startswith("DELETE")}
    assert removed >= {
        "messages",
        "events",
        "batches",
        "replays",
        "inbox_requests",
        "quarantined_batches",
    }
    assert scans(database, statements) == []
