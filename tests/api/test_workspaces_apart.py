"""Two workspaces in one database are lived in alike, and nothing of one is seen or touched by the other.

Both have the same MPIDs, identities, request ids and device stamps: whatever forgets to ask for the
workspace finds the wrong row. A table that is new must be filled by `live`, or these tests fail.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import event as sqlalchemy_event

from higgs_shop import outbox
from higgs_shop.database import Database
from higgs_shop.outbox import Attempt, ReplayChoice
from higgs_shop.outputs import (
    OutputSettings,
    add_output,
    change_output,
    find_output,
    list_outputs,
    pause_output,
)
from higgs_shop.tables import metadata
from higgs_shop.tracker import send_test_event
from higgs_shop.workspaces import remove_workspace
from tests.api.browsing import Browser
from tests.api.conftest import OpenStore, Store
from tests.api.found_by import Use, uses
from tests.api.intake.conftest import Sender, basic, batch, event
from tests.api.journeys import (
    BLANKET,
    add_to_cart,
    buy,
    identity_state,
    mpid,
    sign_in,
    sign_out,
    sign_up,
)
from tests.network_faults import Receiver

IN_A_WORKSPACE: Final = {
    name for name, table in metadata.tables.items() if "workspace_id" in table.c
}
KEYS: Final = {"default": "demo-web-key", "beside": "key-beside"}
STAMP: Final = "00000000-0000-4000-8000-000000000001"

# Where rows are found without their workspace, by what, and why that cannot lead into another one.
EXCEPTIONS: Final = {
    ("visits", "id"): "the visit that its cookie opened, which was looked for in the workspace",
    ("identity_intents", "visit_id"): "those of such a visit",
    ("identity_intents", "id"): "one of those",
    ("sessions", "id"): "the live one of the device, which was looked for in the workspace",
    ("events", "id"): "those that waited for such a visit's call",
    ("batches", "id"): "the one in which an event of the workspace came",
    ("messages", "id"): "one of a mailbox, which was claimed with its workspace",
    ("outputs", "id"): "one that was looked for in the workspace, or is told to gather no more",
    # The background's, which serves all workspaces at once and works on each row within its own.
    ("mailboxes", "due_at_ms"): "the forwarder looks for whatever is due",
    ("mailboxes", "lease_until_ms"): "the background shortens whatever lease is too long",
    (
        "outputs",
        "state",
    ): "the forwarder serves every output that runs, and the inbox asks which has signed",
    ("outputs", "is_full"): "the background counts what waits at each",
    ("outputs", "gathering"): "the background looks for those that are told to gather no more",
    ("gatherings", "waits_for"): "the background hands over whatever has waited long enough",
    ("messages", "closed_at_ms"): "the background forgets whatever was closed long ago",
    ("replays", "id"): "the background looks for whatever is old",
    ("inbox_requests", "id"): "the background looks for whatever is old",
    ("quarantined_batches", "id"): "the background looks for whatever is old",
    ("aliases", "due_at_ms"): "the background carries out whatever is due, or due too late",
    ("identity_intents", "next_attempt_ms"): "the background looks for whatever is due",
    ("sessions", "last_activity_ms"): "the background looks for whatever has gone silent, or is to",
}


@pytest.fixture
def side_by_side(
    open_store: OpenStore,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    receiver: Receiver,
) -> dict[str, Store]:
    """The same store twice on one database, each in a workspace of its own."""
    stores = {}
    settings = {
        "database_url": database_url,
        "instance": tmp_path,
        "webhook_url": receiver.url,
        "webhook_batch_seconds": 86_400,
    }
    for name, key in KEYS.items():
        numbers = count(1_000)
        monkeypatch.setattr("higgs_shop.furnishing.DEFAULT_WORKSPACE", name)
        monkeypatch.setattr("higgs_shop.wiring.random_mpid", lambda numbers=numbers: next(numbers))
        stores[name] = open_store(**settings, idsync_key=key)
        assert stores[name].parts.workspace_id == name
    return stores


def live(store: Store) -> list[Any]:
    """Everything that can be done, once. Returns what can be compared of the answers."""
    _add_outputs(store)
    told: list[Any] = [_call(store), _upload(store)]
    visitor = store.browser()
    visitor.client.set_cookie("higgs_device", STAMP, domain="localhost")
    told += _shop(visitor)
    told += _receive(store, visitor)
    told += _look(visitor)
    told += _connect(visitor)
    store.clock.forward(minutes=31)
    told.append(identity_state(visitor.get("/about")))
    store.clock.forward(minutes=31)
    _stop_gathering(store)
    for _ in range(2):
        store.parts.background.do_round()
    # The background serves all workspaces: nothing is left for it that the other would do.
    _deliver(store)
    told += _replay(store)
    _deliver(store)
    told += _try_out(store)
    return told


def _deliver(store: Store) -> None:
    while store.parts.sender.deliver_due():
        pass


def _add_outputs(store: Store) -> None:
    """Two that gather: sessions as batches, and for a while, batches."""
    for name, waits in (("sessions", True), ("batches", False)):
        settings = OutputSettings(
            url=store.parts.settings.webhook_url, send_as_batch=True, wait_for_session=waits
        )
        with store.parts.database.write() as connection:
            add_output(
                connection,
                store.parts.workspace_id,
                name,
                settings,
                authorization="",
                secrets=(),
                now_ms=store.clock(),
            )


def _stop_gathering(store: Store) -> None:
    with store.parts.database.write() as connection:
        output = find_output(connection, store.parts.workspace_id, "batches")
        assert output is not None
        settings = output.settings.model_copy(update={"send_as_batch": False})
        change_output(connection, output, settings, authorization="", secrets=())


def _call(store: Store) -> list[Any]:
    """Each identity call, each with a request id: identities are won, lost, changed and orphaned."""
    key = KEYS[store.parts.workspace_id]
    numbers = count(1)

    def ask(action: str, **body: Any) -> Any:
        call = {"environment": "development", "request_id": f"r-{next(numbers)}", **body}
        page = store.browser().open(
            f"/identity/v1/{action}", method="POST", json=call, headers={"x-mp-key": key}
        )
        return page.status, page.response.get_json()

    def move(action: str, previous: Any = None, **identities: str) -> Any:
        before = None if previous is None else previous[1]["mpid"]
        return ask(action, known_identities=identities, previous_mpid=before)

    anonymous = move("identify", device_application_stamp=STAMP)
    known = move("login", anonymous, customerid="C-1", email="a@example.com")
    taking = move("login", known, customerid="C-2", email="a@example.com")
    orphan = move("identify", email="helen@example.com")
    change = {"identity_type": "email", "old_value": None, "new_value": "helen@example.com"}
    changed = ask(f"{known[1]['mpid']}/modify", identity_changes=[change])
    searched = move("search", customerid="C-1")
    unknown = move("search", customerid="C-3")
    left = move("logout", known, device_application_stamp=STAMP)
    data = {
        "source_mpid": left[1]["mpid"],
        "destination_mpid": known[1]["mpid"],
        "start_unixtime_ms": store.clock() - 60_000,
        "end_unixtime_ms": store.clock(),
    }
    alias = {"request_type": "alias", "environment": "development", "api_key": key, "data": data}
    path = f"/webevents/v1/identity/{key}/Alias"
    aliased = store.browser().open(path, method="POST", json=alias).status
    return [anonymous, known, taking, orphan, changed, searched, unknown, left, aliased]


def _upload(store: Store) -> list[Any]:
    """Batches of official clients: about an MPID, about somebody named, sent twice, and wrong ones."""
    key = KEYS[store.parts.workspace_id]
    secret = store.parts.settings.idsync_secret.get_secret_value()
    sender = Sender(store.app.test_client(use_cookies=False))
    visited = event(source_message_id="m-1")
    named = batch(
        visited, mpid=None, user_identities={"customerid": "C-1"}, source_request_id="b-1"
    )
    about = batch(event(), mpid=1_001, source_request_id="b-2", user_attributes={"likes": "cats"})
    answers = [
        sender.post(body, headers=basic(key, secret)) for body in (named, about, named, b"wrong")
    ]
    uploads = f"/webevents/v3/JS/{key}/events"
    answers += [sender.upload(body, uploads) for body in (about, b"wrong", {"events": 1})]
    return [answer.status_code for answer in answers]


def _shop(visitor: Browser) -> list[Any]:
    told = [mpid(visitor.get("/"))]
    told.append(mpid(sign_up(visitor, email="grace@example.com", phone="+1 212 555 0100")))
    buy(visitor)
    profile = visitor.get("/account/profile")
    visitor.submit(profile, "save-profile", email="grace.new@example.com")
    visitor.follow(visitor.submit(visitor.get("/privacy"), "opt-out"))
    visitor.follow(visitor.submit(visitor.get("/privacy"), "opt-in"))
    told.append(mpid(sign_out(visitor)))
    visitor.submit(visitor.get("/products/128743"), "add-to-cart", quantity="2")
    told.append(mpid(sign_in(visitor)))
    line = visitor.get("/cart")
    visitor.submit(line, "cart-item-update", quantity="3")
    visitor.submit(line, "cart-item-remove")
    add_to_cart(visitor, BLANKET)
    return told


def _receive(store: Store, visitor: Browser) -> list[Any]:
    """Requests to the store's own inbox and to others, which are made, turned, emptied and removed."""
    own = f"/inbox/{store.parts.secrets.inbox_token}"
    attempt: dict[str, Any] = {"method": "POST", "data": b"{}", "headers": {"webhook-id": "msg_1"}}
    answers = [visitor.open(own, **attempt)]
    visitor.submit(visitor.get("/inbox"), "inbox-preset", preset="recovering")
    answers += [visitor.open(own, **attempt) for _ in range(2)]
    made = visitor.submit(visitor.get("/inbox/sessions"), "inbox-add", name="mine").location
    assert made is not None
    other = made.replace("/sessions/", "/")
    visitor.submit(visitor.get(made), "inbox-secret-set", signing_secret="")
    answers += [visitor.open(other, **attempt) for _ in range(2)]
    newest = visitor.get(made).all("inbox-request")[0].with_tag("a")[0]["href"]
    visitor.submit(visitor.get(f"{newest}/remove"), "inbox-forget")
    visitor.submit(visitor.get(f"{made}/requests/remove"), "inbox-forget")
    told = [page.status for page in answers]
    told += [len(visitor.get(path).all("inbox-request")) for path in (made, "/inbox?q=msg_1")]
    visitor.submit(visitor.get(f"{made}/remove"), "inbox-forget")
    told.append(visitor.open(other, **attempt).status)
    told.append(len(visitor.get("/inbox/sessions").all("inbox-session")))
    for path in ("requests?name=x", "requests/count?q=msg_1", "dial"):
        told.append(visitor.get(f"/inbox/v1/sessions/default/{path}").status)
    return told


def _look(visitor: Browser) -> list[Any]:
    # Not `/readyz`, which is about all workspaces, for whoever watches the store.
    pages = [visitor.get(path) for path in ("/x-ray", "/inbox", "/intake")]
    told: list[Any] = []
    for path in ("/profiles", "/profiles?q=a%40example.com", "/profiles?q=1000"):
        page = visitor.get(path)
        pages.append(page)
        told.append([(row["data-mpid"], row["data-kind"]) for row in page.all("profile-row")])
    for row in visitor.get("/profiles").all("profile-row"):
        page = visitor.get(f"/profiles/{row['data-mpid']}")
        pages.append(visitor.submit(page, "what-if-ask"))
        told.append([step["data-rule"] for step in page.all("history-step")])
        told.append([each["data-event-name"] for each in page.all("profile-event")])
    assert {page.status for page in pages} == {200}
    return told


def _connect(visitor: Browser) -> list[Any]:
    """Outputs on their pages: made, set, paused, resumed, signed with another secret and removed."""
    made = visitor.submit(visitor.get("/connections"), "connection-add", name="other")
    page = visitor.follow(made)
    for button, values in (
        ("connection-change", {"unique_id": "mine", "url": "https://receiver.example/"}),
        ("connection-pause", {}),
        ("connection-resume", {}),
        ("connection-send-test", {}),
        ("connection-add-secret", {}),
        ("connection-remove-secret", {}),
    ):
        page = visitor.follow(visitor.submit(page, button, **values))
    visitor.get("/about")
    pages = [
        visitor.get(f"/connections{path}")
        for path in (
            "",
            "?part=state",
            "/other",
            "/other/deliveries?state=waiting",
            "/other/replay",
        )
    ]
    first = visitor.get(pages[-2].all("delivery-link")[0]["href"])
    asked = visitor.get("/connections/other/remove")
    assert {page.status for page in (*pages, first, asked)} == {200}
    told: list[Any] = [len(page.all("connection")) for page in pages]
    told.append(asked.one("connection-waiting")["data-count"])
    told.append(visitor.submit(asked, "connection-forget").location)
    return told


def _replay(store: Store) -> list[Any]:
    """What was delivered once more, and how that is looked at."""
    database, workspace_id = store.parts.database, store.parts.workspace_id
    with database.read() as connection:
        output, *_ = list_outputs(connection, workspace_id)
        choice = ReplayChoice(only_dead=False, until_ms=store.clock())
        counted = outbox.count_chosen(connection, output, choice, most=1_000)
        chosen = outbox.list_chosen(connection, output, choice, most=2)
        listed = outbox.list_messages(connection, output, most=2)
        attempts = outbox.list_attempts(connection, output, listed[0].id)
        assert outbox.get_message(connection, output, listed[0].id) is not None
    replay = outbox.start_replay(database, output, choice, now_ms=store.clock())
    with database.read() as connection:
        assert outbox.list_replays(connection, output, most=2) == [replay]
        progress = outbox.progress_of(connection, output, replay.id)
    with database.write() as connection:
        dead = Attempt(listed[0].id, 1, 500, None, "", 1, 1, state="dead", wait_ms=None)
        outbox.count_given_up(connection, output, [dead])
        given_up = outbox.given_up_total(connection, output)
    sequences = [message.sequence for message in chosen + listed]
    return [counted, sequences, len(attempts), progress, given_up]


def _try_out(store: Store) -> list[Any]:
    """A test event to where nobody listens, which is tried again before its time; then it is left."""
    database, workspace_id = store.parts.database, store.parts.workspace_id
    with database.write() as connection:
        settings = OutputSettings(url="http://127.0.0.1:1/")
        add_output(
            connection,
            workspace_id,
            "nowhere",
            settings,
            authorization="",
            secrets=(),
            now_ms=store.clock(),
        )
        output = find_output(connection, workspace_id, "nowhere")
        assert output is not None
        assert send_test_event(connection, output, now_ms=store.clock())
    _deliver(store)
    told: list[Any] = []
    with database.read() as connection:
        told.append(outbox.waits_for_retry(connection, output, now_ms=store.clock()))
    told.append(outbox.try_now(database, output, now_ms=store.clock()))
    _deliver(store)
    with database.write() as connection:
        told.append([each.attempts for each in outbox.list_messages(connection, output, most=2)])
        pause_output(connection, output.id, "for a test", store.clock())
    return told


def of_workspace(store: Store, name: str) -> Mapping[str, list[Mapping[str, Any]]]:
    """Everything that is stored for one workspace, by table."""
    return {
        table: [row for row in rows if row["workspace_id"] == name]
        for table, rows in store.dump().items()
        if table in IN_A_WORKSPACE
    }


def test_what_is_lived_in_one_is_as_if_the_other_were_not_there(
    side_by_side: dict[str, Store],
) -> None:
    default, beside = side_by_side.values()

    first = live(default)
    nothing = of_workspace(default, "beside")
    alone = of_workspace(default, "default")
    second = live(beside)

    ready = {"customers", "outputs"}  # what is there from the start
    assert {table for table, rows in nothing.items() if rows} == ready
    assert {table for table, rows in alone.items() if not rows} == set(), "fill these in `live`"
    assert of_workspace(default, "default") == alone
    filled = of_workspace(default, "beside")
    assert {table for table, rows in filled.items() if not rows} == set()
    assert {table: len(rows) for table, rows in filled.items()} == {
        table: len(rows) for table, rows in alone.items()
    }
    assert second == first


def test_what_is_removed_takes_nothing_of_the_other_along(
    side_by_side: dict[str, Store],
) -> None:
    default, beside = side_by_side.values()
    live(default)
    live(beside)
    before = of_workspace(default, "default")
    assert {table for table, rows in of_workspace(default, "beside").items() if not rows} == set()

    with default.parts.database.write() as connection:
        remove_workspace(connection, "beside")

    left = of_workspace(default, "beside")
    assert {table: rows for table, rows in left.items() if rows} == {}
    assert of_workspace(default, "default") == before
    assert [row["id"] for row in default.rows("workspaces")] == ["default"]
    assert default.browser().get("/").status == 200


@contextmanager
def executed(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """Every statement of the block with the values given to it, each run of it by itself."""
    statements: list[tuple[str, Any]] = []

    def remember(_c: object, _cursor: object, text: str, values: Any, *_: object) -> None:
        runs = values if isinstance(values, list) else [values]
        statements.extend((text, run) for run in runs)

    sqlalchemy_event.listen(database.engine, "before_cursor_execute", remember)
    try:
        yield statements
    finally:
        sqlalchemy_event.remove(database.engine, "before_cursor_execute", remember)


def crossings(found: list[Use], workspace: str, needed: set[tuple[str, str]]) -> list[str]:
    """Tables of a statement whose rows may be another workspace's. `needed` learns the exceptions."""
    unsafe = [use for use in found if use.table in IN_A_WORKSPACE]
    safe: set[str] = set()
    while unsafe:
        now_safe = [use for use in unsafe if keeps_to(use, workspace, safe)]
        if not now_safe:
            now_safe = [use for use in unsafe if excused(use)]
            needed |= {key for use in now_safe for key in excused(use)}
        if not now_safe:
            break
        safe |= {use.alias for use in now_safe}
        unsafe = [use for use in unsafe if use not in now_safe]
    return [use.table for use in unsafe]


def keeps_to(use: Use, workspace: str, safe: set[str]) -> bool:
    """Whether the workspace was given, or is that of a row that is safe itself."""
    alias, _, column = use.others.get("workspace_id", "").partition(".")
    is_of_safe = column == "workspace_id" and alias in safe
    return is_of_safe or use.values.get("workspace_id") == workspace


def excused(use: Use) -> set[tuple[str, str]]:
    """The exceptions by which the rows may be found, unless a workspace was given."""
    if "workspace_id" in use.values:
        return set()
    return {(use.table, column) for column in use.columns} & EXCEPTIONS.keys()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_statement_keeps_to_the_workspace(side_by_side: dict[str, Store]) -> None:
    needed: set[tuple[str, str]] = set()
    seen: set[str] = set()
    found: dict[str, list[str]] = {}
    for name, store in side_by_side.items():
        with executed(store.parts.database) as statements:
            live(store)
        for text, values in statements:
            if text.startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
                used = uses(text, values)
                seen |= {use.table for use in used}
                crossing = crossings(used, name, needed)
                if crossing:
                    found[text] = crossing
            else:
                assert text.startswith(("BEGIN", "SAVEPOINT", "RELEASE")), text
    assert found == {}
    assert seen >= IN_A_WORKSPACE
    assert sorted(EXCEPTIONS.keys() - needed) == [], "not needed any more"


@pytest.mark.parametrize(
    ("text", "values", "crossing"),
    [
        ("SELECT * FROM orders WHERE orders.workspace_id = ?", ("w",), []),
        ("SELECT * FROM orders WHERE orders.workspace_id = ?", ("other",), ["orders"]),
        ("SELECT * FROM orders WHERE orders.number = ?", ("1",), ["orders"]),
        ("SELECT * FROM orders WHERE workspace_id = ? OR number = ?", ("w", "1"), ["orders"]),
        (
            "SELECT * FROM visits JOIN devices ON devices.workspace_id = visits.workspace_id",
            (),
            ["visits", "devices"],
        ),
        (
            "SELECT * FROM visits AS v JOIN devices ON devices.workspace_id = v.workspace_id WHERE v.id = ?",
            (1,),
            [],
        ),
        (
            "SELECT * FROM devices WHERE workspace_id = ? AND stamp IN (SELECT stamp FROM devices)",
            ("w",),
            ["devices"],
        ),
        ("UPDATE orders SET number = ? WHERE number = ?", ("w", "1"), ["orders"]),
        ("DELETE FROM orders", (), ["orders"]),
        ("INSERT INTO orders (workspace_id, number) VALUES (?, ?)", ("other", "1"), ["orders"]),
        ("INSERT INTO visits (id, workspace_id) VALUES (?, ?)", (1, "other"), ["visits"]),
        ("INSERT INTO orders (workspace_id, number) VALUES (?, ?)", ("w", "1"), []),
        (
            "INSERT INTO orders (workspace_id, number) VALUES (?, ?), (?, ?)",
            ("w", "1", "other", "1"),
            ["orders"],
        ),
        (
            "INSERT INTO orders (workspace_id) SELECT v.workspace_id FROM visits v WHERE workspace_id = ?",
            ("w",),
            [],
        ),
        (
            "INSERT INTO orders (workspace_id) SELECT v.workspace_id FROM visits AS v",
            (),
            ["visits", "orders"],
        ),
        ("SELECT * FROM workspaces", (), []),
    ],
)
def test_a_statement_that_crosses_is_noticed(
    text: str, values: tuple[Any, ...], crossing: list[str]
) -> None:
    sqlite = sqlite3.connect(":memory:")
    for table in ("orders", "devices", "visits", "workspaces"):
        sqlite.execute(f"CREATE TABLE {table} (id, workspace_id, number, stamp)")
    sqlite.execute(text, values)  # it is SQL
    sqlite.close()
    assert crossings(uses(text, values), "w", set()) == crossing
