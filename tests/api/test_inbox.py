"""The inbox as a receiver: it keeps what came, says whether the signature holds, and stays small."""

import functools
from collections.abc import Sequence

import httpx
import pytest
from sqlalchemy import Connection

from higgs_shop import inbox, outbox
from higgs_shop.database import Database
from higgs_shop.inbox import Dial, InboxRequest, InboxSession, Wanted
from higgs_shop.outgoing_http import OutgoingHttp
from higgs_shop.webhook_output import Sender, verify
from tests.at_once import at_once
from tests.webhook_outputs import an_output

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TOKEN = "hook"
NOW_MS = 1_700_000_000_000
EVERYTHING = Wanted()


def post(
    database: Database,
    *,
    body: bytes = b"{}",
    headers: Sequence[tuple[str, str]] = (),
    workspace_id: str = "default",
    token: str = TOKEN,
    path: str = "/inbox/hook",
) -> InboxRequest:
    """Post to an inbox, which is made if it is not there."""
    with database.write() as connection:
        session = claim(connection, workspace_id, token)
        return inbox.keep(
            connection,
            session,
            method="POST",
            path=path,
            headers=headers,
            body=body,
            answer=inbox.take_answer(connection, session),
            verify=functools.partial(verify, [SECRET]),
            now_ms=NOW_MS,
        )


def claim(
    connection: Connection, workspace_id: str = "default", token: str = TOKEN
) -> InboxSession:
    return inbox.claim_session(connection, workspace_id, token, own_token=token, now_ms=NOW_MS)


def add(connection: Connection, session: InboxSession, now_ms: int = NOW_MS) -> None:
    inbox.add_session(connection, session, own_token=TOKEN, now_ms=now_ms)


def listed(
    database: Database, wanted: Wanted = EVERYTHING, *, token: str = TOKEN, most: int = 50
) -> list[InboxRequest]:
    with database.read() as connection:
        return inbox.list_requests(connection, "default", token, wanted, most=most)


def test_what_the_webhook_output_sends_is_kept_and_found_valid(database: Database) -> None:
    def body(sequence: int, _webhook_id: str) -> bytes:
        return (
            b'{"events":[{"event_type":"screen_view","data":{"screen_name":"Caf\xc3\xa9"}}],'
            b'"mpid":5,"context":{"mpid_sequence":%d}}' % sequence
        )

    def receive(request: httpx.Request) -> httpx.Response:
        post(database, body=request.read(), headers=list(request.headers.items()))
        return httpx.Response(204, request=request)

    output = an_output(database)
    with database.write() as connection:
        outbox.enqueue(
            connection,
            workspace_id="default",
            output_id=output.id,
            mpid=5,
            drafts=[outbox.Draft(1, body)],
            now_ms=NOW_MS,
        )
    transport = httpx.MockTransport(receive)
    with OutgoingHttp(deadline_seconds=5, max_answer_bytes=100, transport=transport) as http:
        sender = Sender(
            database,
            http,
            timeout_seconds=5,
            clock=lambda: NOW_MS,
            inbox_address="http://127.0.0.1/inbox/hook",
            secrets=[SECRET],
        )
        (delivery,) = sender.deliver_due()

    (kept,) = listed(database)
    assert (kept.signature, kept.body) == ("valid", delivery.message.body)
    assert kept.header("webhook-id") == delivery.message.webhook_id
    assert kept.summary == inbox.EventSummary("screen_view", "Café", "5", 1)


def test_a_request_is_kept_as_it_came(database: Database) -> None:
    headers = [("Host", "127.0.0.1"), ("X-Twice", "a"), ("X-Twice", "b"), ("X-Umlaut", "ü")]
    kept = post(database, body=b"\x00\xff", headers=headers, path="/inbox/hook?a=b%20c")

    with database.read() as connection:
        assert inbox.get_request(connection, "default", "hook", kept.id) == kept
    assert kept.headers == tuple(headers)
    assert (kept.method, kept.path, kept.body) == ("POST", "/inbox/hook?a=b%20c", b"\x00\xff")
    assert (kept.signature, kept.received_at_ms) == ("missing", NOW_MS)
    assert kept.signature_reason.startswith("Not signed")


def test_a_forged_signature_is_kept_too_and_called_invalid(database: Database) -> None:
    headers = [
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", str(NOW_MS // 1_000)),
        ("webhook-signature", "v1,Zm9yZ2Vk"),
    ]

    kept = post(database, headers=headers)

    assert kept.signature == "invalid"
    assert kept.signature_reason == "No signature fits this id, timestamp and body with our secret."


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("Authorization", "Bearer canary", "Bearer •••"),
        ("AUTHORIZATION", "canary", "•••"),
        ("Proxy-Authorization", "Basic canary", "Basic •••"),
        ("Cookie", "visit=canary; other=canary", "•••"),
    ],
)
def test_secrets_in_headers_are_not_stored(
    database: Database, name: str, value: str, shown: str
) -> None:
    assert post(database, headers=[(name, value)]).headers == ((name, shown),)


def test_text_that_a_database_cannot_hold_is_kept_readable(database: Database) -> None:
    kept = post(
        database,
        path="/inbox/a\x00b\udc80",
        headers=[("X-Odd", "\x00\udfff")],
    )

    assert kept.path == "/inbox/a\ufffdb?"
    assert kept.headers == (("X-Odd", "\ufffd?"),)
    assert listed(database) == [kept]
    assert listed(database, Wanted(text="\x00")) == [kept]
    assert listed(database, Wanted(text="\udfff")) == [kept]


def test_the_newest_come_first_and_the_older_ones_page_by_page(database: Database) -> None:
    ids = [post(database).id for _ in range(5)]

    newest = listed(database, most=2)
    older = listed(database, Wanted(before_id=newest[-1].id), most=2)

    assert [each.id for each in newest + older] == [ids[4], ids[3], ids[2], ids[1]]
    assert listed(database, Wanted(before_id=ids[0])) == []
    assert [each.id for each in listed(database, Wanted(since_id=ids[2]))] == [ids[4], ids[3]]


def test_tokens_and_workspaces_do_not_see_each_other(database: Database) -> None:
    mine = post(database)
    post(database, workspace_id="other")
    post(database, token="another")

    assert listed(database) == [mine]
    with database.read() as connection:
        assert inbox.count_requests(connection, "default", "hook") == 1
        assert inbox.get_request(connection, "default", "another", mine.id) is None
        assert inbox.get_request(connection, "other", "hook", mine.id) is None
        assert inbox.get_request(connection, "default", "hook", mine.id + 99) is None


def test_only_the_newest_two_thousand_of_a_token_are_kept(database: Database) -> None:
    other = post(database, token="another")
    first = post(database)
    with database.write() as connection:
        session = claim(connection)
        kept = [
            inbox.keep(
                connection,
                session,
                method="POST",
                path=f"/inbox/hook?{number}",
                headers=[],
                body=b"",
                answer=inbox.Answer(204),
                verify=inbox.unchecked,
                now_ms=NOW_MS,
            )
            for number in range(inbox.MOST_KEPT)
        ]

    with database.read() as connection:
        assert inbox.count_requests(connection, "default", TOKEN) == inbox.MOST_KEPT
        assert inbox.get_request(connection, "default", TOKEN, first.id) is None
    assert listed(database, most=1) == kept[-1:]
    assert listed(database, token="another") == [other]


def test_attempts_at_one_message_are_counted_and_their_bytes_compared(database: Database) -> None:
    def attempt(webhook_id: str, body: bytes, token: str = TOKEN) -> tuple[int, bool | None]:
        kept = post(database, body=body, headers=[("Webhook-Id", webhook_id)], token=token)
        return kept.attempt, kept.same_body

    assert attempt("msg_1", b"a") == (1, None)
    assert attempt("msg_2", b"a") == (1, None)
    assert attempt("msg_1", b"a") == (2, True)
    assert attempt("msg_1", b"a") == (3, True)
    assert attempt("msg_1", b"b") == (4, False)
    assert attempt("msg_1", b"b") == (5, False)
    assert attempt("msg_1", b"a", token="another") == (1, None)
    assert post(database).attempt == post(database).attempt == 1


def test_webhook_ids_longer_than_any_index_takes_are_told_apart(database: Database) -> None:
    first, second = "x" * 9_000 + "1", "x" * 9_000 + "2"
    for webhook_id in (first, second, first):
        post(database, headers=[("webhook-id", webhook_id)])

    found = listed(database, Wanted(webhook_id=first))
    assert [each.attempt for each in found] == [2, 1]
    assert found[0].header("webhook-id") == first


@pytest.mark.parametrize(
    "text", ["MSG_7", "/inbox/hook?DAY=1", "x-colour: BLUE", "straße", "STRASSE", "50%_\\", "'"]
)
def test_a_search_finds_what_stands_in_path_headers_and_body_in_any_case(
    database: Database, text: str
) -> None:
    post(database, body=b"nothing of it", headers=[("X-Other", "50 percent")])
    wanted = post(
        database,
        body="to the Straße, 50%_\\ off, isn't it".encode(),
        headers=[("webhook-id", "msg_7"), ("X-Colour", "blue"), ("Authorization", "Bearer canary")],
        path="/inbox/hook?day=1",
    )

    assert listed(database, Wanted(text=text)) == [wanted]
    assert listed(database, Wanted(text="canary")) == []


def test_a_search_reads_the_beginning_of_a_body(database: Database) -> None:
    long = post(database, body=b"early" + b" " * inbox.MOST_SEARCHED_BYTES + b"late")

    assert listed(database, Wanted(text="early")) == [long]
    assert listed(database, Wanted(text="late")) == []


def test_requests_are_found_by_what_is_known_of_their_event(database: Database) -> None:
    body = b'{"events":[{"event_type":"custom_event","data":{"event_name":"Click"}}],"mpid":-5}'
    post(database)
    event = post(database, body=body)

    for wanted in (
        Wanted(event_type="custom_event"),
        Wanted(name="Click"),
        Wanted(mpid="-5"),
        Wanted(event_type="custom_event", name="Click", mpid="-5", signature="missing"),
    ):
        assert listed(database, wanted) == [event]
    assert listed(database, Wanted(name="click")) == []
    assert listed(database, Wanted(signature="valid")) == []
    with database.read() as connection:
        assert inbox.count_requests(connection, "default", TOKEN, Wanted(mpid="-5")) == 1
        assert inbox.event_types(connection, "default", TOKEN) == ["custom_event"]


def test_a_dial_that_counts_is_taken_once_by_each_of_many_at_once(database: Database) -> None:
    with database.write() as connection:
        inbox.turn_dial(connection, claim(connection), Dial(status=500, times=5))

    kept = at_once([lambda: post(database)] * 12)

    statuses = sorted(each.answer.status or 0 for each in kept)
    assert statuses == [204] * 7 + [500] * 5
    # And in the order in which they were numbered.
    assert [each.answer.status for each in reversed(listed(database))] == [500] * 5 + [204] * 7
    with database.read() as connection:
        session = inbox.find_session(connection, "default", TOKEN, own_token=TOKEN)
    assert session is not None
    assert session.dial == Dial(status=500, times=0)


def test_attempts_at_once_are_counted_without_a_gap(database: Database) -> None:
    kept = at_once([lambda: post(database, headers=[("webhook-id", "msg_1")])] * 8)

    assert sorted(each.attempt for each in kept) == list(range(1, 9))


def test_requests_are_removed_one_by_one_or_all(database: Database) -> None:
    first, second, third = (post(database) for _ in range(3))
    other = post(database, token="another")
    with database.write() as connection:
        session = claim(connection)
        assert inbox.remove_request(connection, session, second.id)
        assert not inbox.remove_request(connection, session, second.id)
        assert not inbox.remove_request(connection, session, other.id)
    assert listed(database) == [third, first]

    with database.write() as connection:
        assert inbox.remove_requests(connection, claim(connection)) == 2
    assert listed(database) == []
    assert listed(database, token="another") == [other]
    assert post(database).id > third.id, "a cursor must not meet a number twice"


def test_sessions_are_listed_the_stores_own_first_even_before_it_is_used(
    database: Database,
) -> None:
    def all_of_them() -> list[tuple[str, int]]:
        with database.read() as connection:
            found = inbox.list_sessions(connection, "default", own_token=TOKEN)
        return [(session.token, count) for session, count in found]

    with database.write() as connection:
        add(connection, InboxSession("default", "second"), NOW_MS)
        add(connection, InboxSession("default", "first"), NOW_MS - 1)
        add(connection, InboxSession("other", "theirs"), NOW_MS)
    assert all_of_them() == [(TOKEN, 0), ("first", 0), ("second", 0)]

    post(database)
    post(database, token="second")
    assert all_of_them() == [(TOKEN, 1), ("first", 0), ("second", 1)]


def test_a_session_is_forgotten_with_its_requests(database: Database) -> None:
    mine = post(database)
    post(database, token="another")
    with database.write() as connection:
        inbox.remove_session(connection, claim(connection, token="another"), own_token=TOKEN)

    assert listed(database, token="another") == []
    assert listed(database) == [mine]
    with database.write() as connection, pytest.raises(inbox.NoSuchSession):
        inbox.claim_session(connection, "default", "another", own_token=TOKEN, now_ms=NOW_MS)


def test_the_stores_own_session_stays_and_keeps_its_secret(database: Database) -> None:
    post(database)
    with database.write() as connection:
        own = claim(connection)
        with pytest.raises(inbox.OwnSession):
            inbox.remove_session(connection, own, own_token=TOKEN)
        with pytest.raises(inbox.OwnSession):
            inbox.change_secret(connection, own, SECRET, own_token=TOKEN)


def test_there_are_so_many_sessions_and_no_more(database: Database) -> None:
    post(database)
    with database.write() as connection:
        for number in range(inbox.MOST_SESSIONS):
            add(connection, InboxSession("default", f"s-{number}"), NOW_MS)
        with pytest.raises(inbox.TooManySessions, match="remove one"):
            add(connection, InboxSession("default", "more"), NOW_MS)


@pytest.mark.parametrize("token", ["", "none", "a\x00b", "\udc80", "x" * 101, "a b", "é"])
def test_nobody_listens_at_a_token_that_was_never_made(database: Database, token: str) -> None:
    with database.read() as connection:
        assert inbox.find_session(connection, "default", token, own_token=TOKEN) is None
    with database.write() as connection, pytest.raises(inbox.NoSuchSession):
        inbox.claim_session(connection, "default", token, own_token=TOKEN, now_ms=NOW_MS)
