"""The inbox as a receiver: it keeps what came, says whether the signature holds, and stays small."""

import functools
from collections.abc import Sequence

import httpx
import pytest

from higgs_shop import inbox, outbox
from higgs_shop.database import Database
from higgs_shop.inbox import InboxRequest
from higgs_shop.outgoing_http import OutgoingHttp
from higgs_shop.webhook_output import Sender, verify
from tests.webhook_outputs import an_output

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TOKEN = "hook"
NOW_MS = 1_700_000_000_000


def post(
    database: Database,
    *,
    body: bytes = b"{}",
    headers: Sequence[tuple[str, str]] = (),
    workspace_id: str = "default",
    token: str = TOKEN,
    path: str = "/inbox/hook",
) -> InboxRequest:
    with database.write() as connection:
        return inbox.keep(
            connection,
            workspace_id=workspace_id,
            token=token,
            method="POST",
            path=path,
            headers=headers,
            body=body,
            verify=functools.partial(verify, [SECRET]),
            now_ms=NOW_MS,
        )


def listed(
    database: Database, *, token: str = TOKEN, before_id: int | None = None, most: int = 50
) -> list[InboxRequest]:
    with database.read() as connection:
        return inbox.list_requests(connection, "default", token, before_id=before_id, most=most)


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
    assert kept.webhook_id == delivery.message.webhook_id
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
        token="a\x00b\udc80",
        path="/inbox/a\x00b\udc80",
        headers=[("X-Odd", "\x00\udfff")],
    )

    assert kept.path == "/inbox/a\ufffdb?"
    assert kept.headers == (("X-Odd", "\ufffd?"),)
    assert listed(database, token="a\x00b\udc80") == [kept]


def test_the_newest_come_first_and_the_older_ones_page_by_page(database: Database) -> None:
    ids = [post(database).id for _ in range(5)]

    newest = listed(database, most=2)
    older = listed(database, most=2, before_id=newest[-1].id)

    assert [each.id for each in newest + older] == [ids[4], ids[3], ids[2], ids[1]]
    assert listed(database, before_id=ids[0]) == []


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
        kept = [
            inbox.keep(
                connection,
                workspace_id="default",
                token=TOKEN,
                method="POST",
                path=f"/inbox/hook?{number}",
                headers=[],
                body=b"",
                verify=functools.partial(verify, [SECRET]),
                now_ms=NOW_MS,
            )
            for number in range(inbox.MOST_KEPT)
        ]

    with database.read() as connection:
        assert inbox.count_requests(connection, "default", TOKEN) == inbox.MOST_KEPT
        assert inbox.get_request(connection, "default", TOKEN, first.id) is None
    assert listed(database, most=1) == kept[-1:]
    assert listed(database, token="another") == [other]
