"""The inbox as a webhook tester: sessions, dial, search, attempts, removal; without JavaScript."""

import pytest

from higgs_shop.outputs import pause_output
from higgs_shop.webhook_output import sign
from tests.api.browsing import Browser, Page
from tests.api.conftest import OpenStore, Store
from tests.api.delivering import add as add_output
from tests.api.delivering import change, find

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def post(store: Store, data: bytes = b"{}", path: str = "", **headers: str) -> int:
    """Post to the store's own inbox, or to another one by the path of its page. Returns the status."""
    own = f"/inbox/{store.parts.secrets.inbox_token}"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    address = path.replace("/sessions/", "/") or own
    return store.browser().open(address, method="POST", data=data, headers=named).status


def newest(visitor: Browser, path: str = "/inbox") -> Page:
    """The page of the newest request."""
    return visitor.get(visitor.get(path).all("inbox-request")[0].with_tag("a")[0]["href"])


def add(visitor: Browser, **fields: str) -> str:
    """Make another inbox. Returns the path of its page."""
    made = visitor.submit(visitor.get("/inbox/sessions"), "inbox-add", **fields)
    assert made.location is not None
    return made.location


@pytest.mark.parametrize(
    ("preset", "statuses", "words"),
    [
        ("failing", [500, 500], "Every request gets 500."),
        ("busy", [503, 503], "Every request gets 503 with Retry-After 60."),
        (
            "recovering",
            [500, 500, 500, 204],
            "The next 3 requests get 500, and those after it 204.",
        ),
        ("once", [500, 204], "The next request gets 500, and those after it 204."),
        ("refusing", [422, 422], "Every request gets 422."),
        ("gone", [410, 410], "Every request gets 410."),
    ],
)
def test_a_button_turns_the_dial(
    store: Store, visitor: Browser, preset: str, statuses: list[int], words: str
) -> None:
    page = visitor.follow(visitor.submit(visitor.get("/inbox"), "inbox-preset", preset=preset))
    assert page.notices == [words]
    assert page.text("inbox-dial") == words

    assert [post(store) for _ in statuses] == statuses
    listed = visitor.get("/inbox").all("inbox-request")
    assert [int(row["data-status"]) for row in reversed(listed)] == statuses
    visitor.submit(visitor.get("/inbox"), "inbox-preset", preset="usual")
    assert post(store) == 204


@pytest.mark.parametrize(
    ("seconds", "meanings"),
    [
        (
            (0, 2, 60),
            {
                "usual": "delivered at once",
                "once": "delivered after 2 s",
                "recovering": "given up after 3 attempts, 1 min",
                "busy": "given up after 3 attempts",
                "slow": "delivered after 12 s",
                "gone": "waits, and the connection is paused",
            },
        ),
        (
            (0,),
            {"once": "given up after 1 attempt", "refusing": "given up after 1 attempt"},
        ),
        ((0, 0), {"once": "delivered at once"}),
    ],
)
def test_each_button_says_what_becomes_of_an_event_by_the_settings_in_force(
    open_store: OpenStore, seconds: tuple[int, ...], meanings: dict[str, str]
) -> None:
    store = open_store(webhook_retry_seconds=seconds, webhook_timeout_seconds=20)
    said = {
        each["data-preset"]: each.text
        for each in store.browser().get("/inbox").all("inbox-preset-meaning")
    }
    assert {name: said[name] for name in meanings} == meanings


def test_of_other_inboxes_a_button_says_what_the_sender_meets(visitor: Browser) -> None:
    said = visitor.get(add(visitor)).all("inbox-preset-meaning")
    assert [each.text for each in said if each["data-preset"] == "gone"] == [
        "one that wants nothing more"
    ]


def test_a_dial_that_has_run_down_is_shown_as_what_is_answered(
    store: Store, visitor: Browser
) -> None:
    visitor.submit(visitor.get("/inbox"), "inbox-preset", preset="once")
    post(store)
    dial = visitor.get("/inbox?part=dial").one("inbox-dial")
    assert (dial["data-status"], dial["data-times"]) == ("204", "0")
    assert "run down" in dial.text


def test_the_parts_that_change_by_themselves_are_answered_alone(
    store: Store, visitor: Browser
) -> None:
    post(store, b"needle")
    post(store, b"hay")
    listed = visitor.get("/inbox?part=list&q=needle")
    assert len(listed.all("inbox-request")) == 1
    assert not listed.has("inbox-search")
    opened = visitor.get(f"{newest(visitor).path}?part=list")
    links = [row.with_tag("a")[0].attributes for row in opened.all("inbox-request")]
    assert ["aria-current" in each for each in links] == [True, False]


def test_whoever_opens_a_request_finds_it_before_anything_else(
    store: Store, visitor: Browser
) -> None:
    post(store, b"mine")
    page = newest(visitor)
    first = [page.html.index(f'data-testid="{each}"') for each in ("inbox-selected", "inbox-dial")]
    assert first == sorted(first)
    assert visitor.get(page.one("inbox-back")["href"]).path == "/inbox"


def test_requests_say_which_connection_has_signed_them(store: Store, visitor: Browser) -> None:
    add_output(store, "second", secrets=[SECRET])
    for secret in (store.parts.secrets.webhook_secret, SECRET, f"{SECRET[:-1]}x"):
        signature = sign(
            [secret], webhook_id="m", timestamp_seconds=store.clock() // 1_000, body=b"{}"
        )
        post(
            store,
            webhook_id="m",
            webhook_timestamp=str(store.clock() // 1_000),
            webhook_signature=signature,
        )

    page = visitor.get("/inbox")
    rows = [[each.text for each in row.find("inbox-sender")] for row in page.all("inbox-request")]
    assert rows == [[], ["second"], ["webhook"]]
    opened = visitor.get(page.all("inbox-request")[1].with_tag("a")[0]["href"])
    assert opened.text("inbox-selected-sender") == "second"
    assert [each["data-connection"] for each in page.all("inbox-webhook")] == ["webhook", "second"]
    assert "those of the connections that post here" in page.text("inbox-checks")


def test_where_another_workspace_signs_with_the_same_secret_both_are_named(
    store: Store, visitor: Browser
) -> None:
    assert visitor.submit(visitor.get("/workspaces"), "workspace-add", id="kiosk").status == 303
    seconds = store.clock() // 1_000
    signature = sign(
        [store.parts.secrets.webhook_secret],
        webhook_id="m",
        timestamp_seconds=seconds,
        body=b"{}",
    )
    post(store, webhook_id="m", webhook_timestamp=str(seconds), webhook_signature=signature)
    assert visitor.get("/inbox").text("inbox-sender") == "webhook or webhook of kiosk"


def test_the_dial_is_set_exactly_and_says_what_each_request_got(
    store: Store, visitor: Browser
) -> None:
    typed = {"status": "429", "retry_after_seconds": "7", "delay_ms": "10", "times": "1"}
    visitor.submit(visitor.get("/inbox"), "inbox-dial-set", **typed)
    dial = visitor.get("/inbox").one("inbox-dial")
    assert (dial["data-status"], dial["data-delay-ms"], dial["data-times"]) == ("429", "10", "1")

    assert [post(store), post(store)] == [429, 204]
    dial = visitor.get("/inbox").one("inbox-dial")
    assert "run down" in dial.text
    second, first = visitor.get("/inbox").all("inbox-request")
    answers = [
        visitor.get(row.with_tag("a")[0]["href"]).text("inbox-answer") for row in (first, second)
    ]
    assert answers == ["It got 429 with Retry-After 7 after 0.01 s.", "It got 204."]


def test_mistakes_in_the_dial_are_told_at_their_fields_and_change_nothing(
    store: Store, visitor: Browser
) -> None:
    typed = {"status": "600", "retry_after_seconds": "x", "delay_ms": "30001", "times": "-1"}
    page = visitor.submit(visitor.get("/inbox"), "inbox-dial-set", **typed)

    assert page.status == 422
    assert page.text("inbox-dial-status-error") == "Use a whole number from 200 to 599."
    assert page.text("inbox-dial-retry-after-error").startswith("Use whole seconds from 0")
    assert page.text("inbox-dial-delay-error") == "Use whole milliseconds from 0 to 30,000."
    assert page.text("inbox-dial-times-error").startswith("Use a whole number from 0 to 1,000")
    assert page.one("inbox-dial-status")["value"] == "600"
    assert "open" in page.one("inbox-dial-exactly").attributes
    assert post(store) == 204


def test_a_button_pressed_twice_turns_the_dial_once(store: Store, visitor: Browser) -> None:
    form = visitor.get("/inbox").form_of("inbox-preset").with_values({"preset": "recovering"})
    visitor.send(form)
    assert [post(store) for _ in range(3)] == [500, 500, 500]
    visitor.send(form)
    assert post(store) == 204


def test_a_button_that_is_none_is_refused(visitor: Browser) -> None:
    page = visitor.submit(visitor.get("/inbox"), "inbox-preset", preset="explode")
    assert page.status == 400
    assert "no such button" in page.text("error-page")


def test_another_inbox_is_made_used_and_forgotten(store: Store, visitor: Browser) -> None:
    path = add(visitor, name="Billing tests")
    page = visitor.get(path)
    assert page.title.startswith("Billing tests")
    assert page.text("inbox-address").endswith(path.replace("/sessions/", "/"))
    assert "not checked" in page.text("inbox-checks")
    assert page.has("inbox-example")
    assert not page.has("webhook-url")

    assert post(store, b"mine", path) == 204
    assert visitor.get("/inbox").has("inbox-empty")
    shown = newest(visitor, path)
    assert shown.text("inbox-body") == "mine"
    assert shown.text("inbox-signature-reason").startswith("This inbox has no signing secret")
    listed = visitor.get("/inbox/sessions").all("inbox-session")
    assert [each.find("inbox-session-count")[0].text for each in listed] == ["0", "1"]

    question = visitor.get(visitor.get(path).one("inbox-remove")["href"])
    assert question.text("inbox-question") == "Remove Billing tests?"
    gone = visitor.follow(visitor.submit(question, "inbox-forget"))
    assert gone.notices == ["Billing tests is forgotten, with everything in it."]
    assert len(gone.all("inbox-session")) == 1
    assert post(store, b"late", path) == 404
    assert visitor.get(path).status == 404
    assert store.rows("inbox_requests") == []


def test_a_connection_that_got_a_410_is_told_of_where_that_was_pressed(
    store: Store, visitor: Browser
) -> None:
    """Another answer alone brings nothing back; the button that does is there."""
    path = add(visitor)
    with store.parts.database.write() as connection:
        pause_output(connection, find(store).id, "the receiver answered 410 Gone", store.clock())
    visitor.submit(visitor.get("/inbox"), "inbox-preset", preset="usual")

    page = visitor.get("/inbox")

    assert page.one("inbox-paused")["data-connection"] == "webhook"
    assert not visitor.get(path).has("inbox-paused")
    on = visitor.follow(visitor.submit(page, "connection-resume"))
    assert on.notices == ["It goes on, with what waited first."]
    assert not visitor.get("/inbox").has("inbox-paused")


def test_what_waits_at_an_inactive_connection_is_said_to_arrive(
    store: Store, visitor: Browser
) -> None:
    change(store, is_active=False)
    nothing = "So nothing new will arrive here"
    assert visitor.get("/inbox").text("inbox-nothing-new") == f"{nothing}."
    change(store, is_active=True)
    visitor.get("/about")
    change(store, is_active=False)
    told = visitor.get("/inbox").text("inbox-nothing-new")
    assert told.startswith(f"{nothing}, but 2 from before still do:")


def test_inboxes_have_dials_of_their_own(store: Store, visitor: Browser) -> None:
    path = add(visitor)
    visitor.submit(visitor.get(path), "inbox-preset", preset="gone")
    assert (post(store), post(store, b"{}", path)) == (204, 410)


def test_a_secret_is_checked_with_and_not_shown_again(store: Store, visitor: Browser) -> None:
    wrong = visitor.submit(visitor.get("/inbox/sessions"), "inbox-add", signing_secret="hunter2")
    assert wrong.status == 422
    assert wrong.text("inbox-secret-error") == "A signing secret starts with whsec_."
    assert "hunter2" not in wrong.html

    path = add(visitor)
    visitor.submit(visitor.get(path), "inbox-secret-set", signing_secret=SECRET)
    post(store, b"{}", path)
    page = newest(visitor, path)
    assert page.text("inbox-checks") == "a secret of its own"
    assert page.one("inbox-request")["data-signature"] == "missing"
    assert SECRET not in page.html

    visitor.submit(page, "inbox-secret-set", signing_secret="")
    assert "not checked" in visitor.get(path).text("inbox-checks")


def test_the_stores_own_inbox_stays_and_keeps_its_secret(visitor: Browser) -> None:
    page = visitor.get("/inbox")
    assert not page.has("inbox-remove")
    assert not page.has("inbox-secret-set")
    assert visitor.get("/inbox/sessions/default/remove").status == 400
    form = page.form_of("inbox-preset")
    for path in ("remove", "secret"):
        form.action = f"/inbox/sessions/default/{path}"
        answer = visitor.send(form.with_values({"form_token": f"0123456789abcdef-{path}"}))
        assert answer.status == 400
        assert "store's" in answer.text("error-page")


def test_requests_are_looked_for_and_the_pages_keep_the_question(
    store: Store, visitor: Browser
) -> None:
    for number in range(52):
        post(store, f"needle {number}".encode())
    post(store, b"hay")

    page = visitor.submit(visitor.get("/inbox"), "inbox-find", q="NEEDLE")
    assert len(page.all("inbox-request")) == 50
    older = visitor.get(page.one("inbox-older")["href"])
    assert len(older.all("inbox-request")) == 2
    assert older.one("inbox-search")["value"] == "NEEDLE"
    assert visitor.get("/inbox?q=nothing").has("inbox-nothing-found")
    assert len(visitor.get("/inbox?signature=valid").all("inbox-request")) == 0
    assert len(visitor.get("/inbox?signature=missing").all("inbox-request")) == 50
    assert visitor.get("/inbox?signature=odd&before=x").has("inbox-older")


def test_requests_are_found_by_the_type_of_their_event(store: Store, visitor: Browser) -> None:
    post(store, b'{"events":[{"event_type":"screen_view"}]}')
    post(store, b"{}")

    page = visitor.submit(visitor.get("/inbox"), "inbox-find", type="screen_view")
    assert [row["data-event-type"] for row in page.all("inbox-request")] == ["screen_view"]


def test_attempts_at_one_message_are_marked(store: Store, visitor: Browser) -> None:
    for body in (b"a", b"a", b"b"):
        post(store, body, webhook_id="msg_1")
    post(store, b"a", webhook_id="msg_2")

    rows = visitor.get("/inbox").all("inbox-request")
    assert [row["data-attempt"] for row in rows] == ["1", "3", "2", "1"]
    marks = [mark.text for row in rows for mark in row.find("inbox-attempt")]
    assert marks == [
        "3rd attempt, 2 before, other bytes than before",
        "2nd attempt, 1 before, the same bytes",
    ]
    third = visitor.get(rows[1].with_tag("a")[0]["href"])
    assert third.one("inbox-selected-attempt")["data-same-body"] == "false"
    attempts = visitor.get(third.one("inbox-attempts")["href"])
    assert len(attempts.all("inbox-request")) == 3


def test_what_is_signed_is_shown_and_the_secret_is_not(store: Store, visitor: Browser) -> None:
    post(store, b"body", webhook_id="msg_1", webhook_timestamp="1", webhook_signature="v1,x")

    page = newest(visitor)
    assert page.text("inbox-signed-text") == "msg_1.1.body"
    assert "too old" in page.text("inbox-signature-reason")
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        assert name in page.text("inbox-signed")
    assert store.parts.secrets.webhook_secret not in page.html
    post(store, b"body")
    assert newest(visitor).text("inbox-signed").count("not sent") == 3


def test_the_command_to_copy_is_that_of_the_api(store: Store, visitor: Browser) -> None:
    post(store, b"it's <b>", authorization="Bearer canary")

    page = newest(visitor)
    number = page.path.rpartition("/")[2]
    told = visitor.get(f"/inbox/v1/sessions/default/requests/{number}").response.get_json()
    assert page.one("inbox-curl").texts == [told["curl"]]
    assert "canary" not in page.html
    assert "hidden" in page.one("inbox-copy-curl").attributes


def test_one_request_is_removed_after_a_question(store: Store, visitor: Browser) -> None:
    post(store, b"first")
    post(store, b"second")
    page = newest(visitor)

    question = visitor.get(page.one("inbox-remove-one")["href"])
    assert visitor.get(question.one("inbox-keep")["href"]).text("inbox-kept")[0] == "2"
    after = visitor.follow(visitor.submit(question, "inbox-forget"))

    assert after.one("inbox-kept")["data-count"] == "1"
    assert newest(visitor).text("inbox-body") == "first"
    assert visitor.get(page.path).status == 404
    assert visitor.get(question.path).status == 404


def test_all_requests_are_removed_after_a_question(store: Store, visitor: Browser) -> None:
    for _ in range(3):
        post(store)

    question = visitor.get(visitor.get("/inbox").one("inbox-remove-all")["href"])
    assert question.text("inbox-question") == "Remove 3 requests?"
    after = visitor.follow(visitor.submit(question, "inbox-forget"))
    assert after.notices == ["3 requests are forgotten."]
    assert after.has("inbox-empty")


def test_the_page_says_how_many_may_be_held_back(visitor: Browser) -> None:
    assert "2 are held back at once" in visitor.get("/inbox").html


def test_inboxes_are_at_one_address_each(store: Store, visitor: Browser) -> None:
    page = visitor.get("/inbox/sessions/default")
    assert (page.status, page.location) == (308, "http://localhost/inbox")
    token = store.parts.secrets.inbox_token
    assert visitor.get(f"/inbox/{token}").status == 405
