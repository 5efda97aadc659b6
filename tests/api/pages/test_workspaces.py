"""Workspaces on their page: made, looked into, changed and removed, without JavaScript."""

import json
import shlex
from typing import Any

import httpx
import pytest

from higgs_shop.outgoing_http import OutgoingHttp
from higgs_shop.webhook_output import Sender
from tests.api.browsing import Browser, Page
from tests.api.conftest import PRODUCTION, OpenStore, Store
from tests.api.journeys import mpid


def add(visitor: Browser, name: str = "kiosk", **settings: str) -> Page:
    """Make a workspace; the answer is its page."""
    page = visitor.submit(visitor.get("/workspaces"), "workspace-add", id=name, **settings)
    assert page.location == f"/workspaces/{name}", page.html
    return visitor.follow(page)


def names(page: Page) -> list[str]:
    """The workspaces that are listed, in order."""
    return [each["data-workspace"] for each in page.all("workspace")]


def ask(
    store: Store, key: str, action: str = "identify", status: int = 200, **identities: str
) -> dict[str, Any]:
    """One identity call with this key. Returns the answer."""
    page = store.browser().open(
        f"/identity/v1/{action}",
        method="POST",
        json={"environment": "development", "known_identities": identities},
        headers={"x-mp-key": key},
    )
    assert page.status == status, page.html
    answer: dict[str, Any] = page.response.get_json()
    return answer


def errors(page: Page) -> dict[str, str]:
    """What is said against the fields."""
    assert page.status == 422
    return {
        each["data-testid"].removesuffix("-error"): each.text
        for each in page.root.all()
        if each.attributes.get("data-testid", "").endswith("-error")
    }


def links(page: Page) -> list[str]:
    """Where the links and the forms of a page's content lead."""
    (main,) = page.root.with_tag("main")
    content = [each for each in main.all() if each.tag in {"a", "form"}]
    return [each.attributes.get("href") or each.attributes["action"] for each in content]


def deliver_within(store: Store) -> None:
    """Send what is due to the store's own inbox, without a server."""
    transport = httpx.WSGITransport(store.app)
    with OutgoingHttp(deadline_seconds=5, max_answer_bytes=65_536, transport=transport) as http:
        sender = Sender(
            store.parts.database,
            http,
            timeout_seconds=5,
            clock=store.clock,
            inbox_address=f"http://localhost/inbox/{store.parts.secrets.inbox_token}",
            secrets=[store.parts.secrets.webhook_secret],
        )
        while sender.deliver_due():
            pass


class TestMaking:
    """From a name to a key that works."""

    def test_the_shop_s_own_is_there_from_the_start(self, visitor: Browser) -> None:
        page = visitor.get("/workspaces")
        assert names(page) == ["default"]
        assert page.text("workspace-api-key") == "demo-web-key"

    def test_a_name_is_enough(self, store: Store, visitor: Browser) -> None:
        page = add(visitor)
        assert page.notices == ["The workspace kiosk is there."]
        assert page.text("workspace-id") == "kiosk"
        assert page.text("workspace-is-strategy") == "profile_conversion"
        assert page.text("workspace-is-login-ids") == "customerid, email"
        assert ask(store, page.text("workspace-api-key"), customerid="C-1")["is_logged_in"]
        assert names(visitor.get("/workspaces")) == ["default", "kiosk"]

    def test_its_events_arrive_at_the_inbox(self, store: Store, visitor: Browser) -> None:
        page = add(visitor, api_secret="secret")
        screen = {"event_type": "screen_view", "data": {"screen_name": "Kiosk"}}
        sent = {"environment": "development", "mpid": 4711, "events": [screen]}
        credentials = (page.text("workspace-api-key"), "secret")
        answer = visitor.client.post("/s2s/v2/events", json=sent, auth=credentials)
        assert answer.status_code == 202

        deliver_within(store)

        (request,) = visitor.get("/inbox").all("inbox-request")
        assert (request["data-signature"], request["data-event-type"]) == ("valid", "screen_view")
        (body,) = [row["body"] for row in store.rows("inbox_requests")]
        assert json.loads(body)["events"][0]["data"]["screen_name"] == "Kiosk"

    def test_the_example_can_be_copied(self, store: Store, visitor: Browser) -> None:
        page = add(visitor, api_key="kiosk-key")
        curl, silent, url, _, header, _, body = shlex.split(page.text("workspace-example"))
        assert (curl, silent) == ("curl", "-s")
        path = url.removeprefix("http://localhost")
        name, _, key = header.partition(": ")
        answer = store.browser().open(path, method="POST", data=body, headers={name: key})
        assert answer.status == 200
        assert visitor.get("/workspaces/kiosk").one("workspace-profiles")["data-count"] == "1"

    def test_everything_may_be_given(self, visitor: Browser) -> None:
        page = add(
            visitor,
            api_key="own-key",
            api_secret="own secret",
            identity_strategy="profile_isolation",
            login_ids="customerid, email",
            unique_ids="customerid",
            immutable_ids="customerid",
            identity_priority="email,customerid",
        )
        assert page.text("workspace-api-key") == "own-key"
        assert page.text("workspace-is-strategy") == "profile_isolation"
        assert page.text("workspace-is-unique-ids") == "customerid"
        assert page.text("workspace-is-immutable-ids") == "customerid"
        assert page.text("workspace-is-priority") == "email, customerid"

    def test_the_secret_is_shown_on_request_only(self, visitor: Browser) -> None:
        page = add(visitor, api_secret="canary <b>&")
        assert "canary" not in page.html
        assert "canary" not in visitor.get("/workspaces").html
        shown = visitor.get(page.one("workspace-show-secret")["href"])
        assert shown.text("workspace-secret") == "canary <b>&"
        assert shown.response.headers["Cache-Control"] == "no-store"
        assert "canary" not in visitor.get(shown.one("workspace-hide-secret")["href"]).html

    def test_each_mistake_is_named_where_it_was_made(self, store: Store, visitor: Browser) -> None:
        before = store.rows("workspaces")
        form = visitor.get("/workspaces")
        wrong = visitor.submit(
            form,
            "workspace-add",
            id="Kiosk",
            api_key="a key",
            api_secret="canary\x00",
            identity_strategy="zzz",
            identity_priority="emial",
            login_ids="email,email",
            immutable_ids="nose",
        )
        found = errors(wrong)
        assert list(found) == [
            f"workspace-{name}"
            for name in (
                "name",
                "strategy",
                "login-ids",
                "immutable-ids",
                "priority",
                "key",
                "secret-field",
            )
        ]
        assert found["workspace-name"].startswith("Use up to 40 small letters, digits and dashes")
        assert "best_match" in found["workspace-strategy"]
        assert found["workspace-priority"] == "No such identity type: emial; did you mean email?"
        assert found["workspace-immutable-ids"].startswith("No such identity type: nose; use some")
        assert store.rows("workspaces") == before
        mended = visitor.submit(
            wrong,
            "workspace-add",
            id="kiosk",
            api_key="",
            api_secret="",
            identity_strategy="default",
            identity_priority="email",
            login_ids="",
            immutable_ids="",
        )
        assert mended.location == "/workspaces/kiosk"

    def test_an_immutable_type_is_a_login_id_and_unique(self, visitor: Browser) -> None:
        form = visitor.get("/workspaces")
        page = visitor.submit(form, "workspace-add", id="kiosk", immutable_ids="other")
        assert errors(page) == {
            "workspace-immutable-ids": "No login ID: other; use types that are login IDs and unique "
            "IDs too."
        }

    def test_a_name_and_a_key_are_there_once(self, visitor: Browser) -> None:
        add(visitor)
        form = visitor.get("/workspaces")
        page = visitor.submit(form, "workspace-add", id="kiosk")
        assert "choose another" in errors(page)["workspace-name"]
        page = visitor.submit(form, "workspace-add", id="other", api_key="demo-web-key")
        assert "choose another" in errors(page)["workspace-key"]

    def test_the_same_form_sent_twice_makes_one(self, visitor: Browser) -> None:
        form = visitor.get("/workspaces").form_of("workspace-add").with_values({"id": "kiosk"})
        first, second = visitor.send(form), visitor.send(form)
        assert (first.location, second.location) == ("/workspaces/kiosk", "/workspaces/kiosk")
        assert visitor.send(form.with_values({"id": "other"})).status == 409
        assert names(visitor.get("/workspaces")) == ["default", "kiosk"]

    def test_a_form_without_its_tokens_does_nothing(self, visitor: Browser) -> None:
        form = visitor.get("/workspaces").form_of("workspace-add").with_values({"id": "kiosk"})
        for token in ("csrf_token", "form_token"):
            assert visitor.send(form.with_values({token: None})).status == 400
        assert names(visitor.get("/workspaces")) == ["default"]

    def test_they_are_listed_page_by_page(self, visitor: Browser) -> None:
        for number in range(50):
            add(visitor, f"w-{number:02}")
        page = visitor.get("/workspaces")
        assert len(names(page)) == 50
        rest = visitor.get(page.one("workspaces-more")["href"])
        assert names(rest) == ["w-49"]
        assert rest.one("workspaces-first")["href"] == "/workspaces"
        for after in ("zzz", "\x00", "x" * 5_000, "é"):
            assert visitor.open("/workspaces", query_string={"after": after}).status == 200


class TestChanging:
    """Other settings for a workspace with people in it."""

    def test_the_strategy_brings_its_ids_along(self, store: Store, visitor: Browser) -> None:
        page = add(visitor, api_key="kiosk-key", api_secret="own")
        one = ask(store, "kiosk-key", email="ada@example.com")
        page = visitor.submit(page, "workspace-change", identity_strategy="default")
        page = visitor.follow(page)
        assert page.notices == ["The settings are changed."]
        assert page.text("workspace-is-login-ids") == "customerid"
        assert page.text("workspace-api-key") == "kiosk-key"
        shown = visitor.get(page.one("workspace-show-secret")["href"])
        assert shown.text("workspace-secret") == "own"
        store.clock.forward(seconds=1)
        again = ask(store, "kiosk-key", email="ada@example.com")
        assert again["mpid"] == one["mpid"]
        assert (one["is_logged_in"], again["is_logged_in"]) == (True, False)

    def test_what_was_given_stays(self, visitor: Browser) -> None:
        page = add(visitor, login_ids="email", unique_ids=",")
        page = visitor.follow(visitor.submit(page, "workspace-change"))
        assert page.notices == ["Nothing was changed."]
        assert page.text("workspace-is-login-ids") == "email"
        assert page.text("workspace-is-unique-ids") == "none"
        page = visitor.submit(page, "workspace-change", identity_strategy="best_match")
        assert errors(page) == {
            "workspace-login-ids": "Best_match has none, since it only matches; leave it empty."
        }

    def test_key_and_secret_can_be_renewed(self, store: Store, visitor: Browser) -> None:
        page = add(visitor, api_key="old-key")
        ask(store, "old-key", customerid="C-1")
        page = visitor.submit(page, "workspace-change", api_key="", api_secret="new")
        page = visitor.follow(page)
        new_key = page.text("workspace-api-key")
        assert new_key.startswith("kiosk-")
        assert visitor.get("/workspaces/kiosk?secret=shown").text("workspace-secret") == "new"
        store.clock.forward(seconds=1)
        ask(store, "old-key", status=401, customerid="C-1")
        ask(store, new_key, customerid="C-1")

    def test_a_key_is_not_taken_from_another(self, visitor: Browser) -> None:
        page = add(visitor)
        page = visitor.submit(page, "workspace-change", api_key="demo-web-key")
        assert "choose another" in errors(page)["workspace-key"]

    def test_the_default_one_is_left_alone(self, store: Store, visitor: Browser) -> None:
        page = visitor.get("/workspaces/default")
        assert "HIGGS_SHOP_IDENTITY_STRATEGY" in page.text("workspace-of-environment")
        assert not page.has("workspace-change")
        assert not page.has("workspace-remove")
        assert "demo-web-secret" not in visitor.get("/workspaces/default?secret=shown").html
        before = store.rows("workspaces")
        form = add(visitor).form_of("workspace-change")
        form.action = "/workspaces/default"
        answer = visitor.send(form)
        assert answer.status == 400
        assert "environment" in answer.text("error-page")
        form = visitor.get("/workspaces/kiosk/remove").form_of("workspace-forget")
        form.action = "/workspaces/default/remove"
        assert visitor.send(form).status == 400
        assert visitor.get("/workspaces/default/remove").status == 400
        assert store.rows("workspaces")[:1] == before


class TestRemoving:
    """Asked first, then forgotten."""

    def test_it_is_asked_first_and_then_everything_is_gone(
        self, store: Store, visitor: Browser
    ) -> None:
        page = add(visitor, api_key="kiosk-key")
        ask(store, "kiosk-key", customerid="C-1")
        question = visitor.get(page.one("workspace-remove")["href"])
        assert question.one("workspace-profiles")["data-count"] == "1"
        assert visitor.get(question.one("workspace-keep")["href"]).status == 200
        form = question.form_of("workspace-forget")
        done = visitor.send(form)
        assert done.location == "/workspaces"
        assert names(visitor.follow(done)) == ["default"]
        assert visitor.send(form).location == "/workspaces", "the second click"
        ask(store, "kiosk-key", status=401, customerid="C-1")
        for table, rows in store.dump().items():
            assert not any(row.get("workspace_id") == "kiosk" for row in rows), table

    def test_what_is_not_there_is_said_kindly(self, visitor: Browser) -> None:
        page = add(visitor)
        change = page.form_of("workspace-change")
        forget = visitor.get("/workspaces/kiosk/remove").form_of("workspace-forget")
        for form, path in ((change, "/workspaces/nix"), (forget, "/workspaces/nix/remove")):
            form.action = path
            assert visitor.send(form).status == 404
        for name in ("nix", "Kiosk", "kiosk%00", "x" * 200, "%ED%A0%80", "é"):
            for path in (f"/workspaces/{name}", f"/workspaces/{name}/remove"):
                assert visitor.get(path).status == 404, path
        assert "no such workspace" in visitor.get("/workspaces/nix").text("error-page")

    def test_a_call_that_is_under_way_leaves_nothing_behind(
        self, store: Store, visitor: Browser
    ) -> None:
        """The service remembers a key for a second: the clock stands still here."""
        add(visitor, api_key="kiosk-key")
        ask(store, "kiosk-key", customerid="C-1")
        visitor.open("/webevents/v3/JS/kiosk-key/events", method="POST", data=b"wrong")
        visitor.submit(visitor.get("/workspaces/kiosk/remove"), "workspace-forget")
        for action in ("identify", "login", "logout"):
            answer = ask(store, "kiosk-key", action, status=401, customerid="C-1")
            assert "not known any more" in answer["errors"][0]["message"]
        ask(store, "kiosk-key", "search", status=404, customerid="C-1")
        for body in (b'{"events": [], "environment": "production", "mpid": 1}', b"wrong"):
            page = visitor.open("/webevents/v3/JS/kiosk-key/events", method="POST", data=body)
            assert page.status == 401, page.html
        for table, rows in store.dump().items():
            assert not any(row.get("workspace_id") == "kiosk" for row in rows), table


class TestLookingInto:
    """Profiles of another workspace than the shop's."""

    def test_there_is_a_choice_where_there_are_several(
        self, store: Store, visitor: Browser
    ) -> None:
        mine = mpid(visitor.get("/"))
        assert not visitor.get("/profiles").has("look-into")
        add(visitor, api_key="kiosk-key")
        theirs = ask(store, "kiosk-key", customerid="C-1")["mpid"]
        page = visitor.submit(visitor.get("/profiles"), "look-into-it", workspace="kiosk")
        assert [row["data-mpid"] for row in page.all("profile-row")] == [theirs]
        assert page.one("in-workspace")["href"] == "/workspaces/kiosk"
        page = visitor.submit(page, "look-into-it", workspace="default")
        assert [row["data-mpid"] for row in page.all("profile-row")] == [mine]
        assert not page.has("in-workspace")

    def test_every_link_and_form_stays_in_it(self, store: Store, visitor: Browser) -> None:
        add(visitor, api_key="kiosk-key")
        for number in range(51):
            ask(store, "kiosk-key", device_application_stamp=f"s-{number}")
        made = [
            ask(store, "kiosk-key", device_application_stamp="s-50", other=f"o-{number}")
            for number in range(21)
        ]
        one = made[0]["mpid"]
        mine = mpid(visitor.get("/"))
        page = visitor.get("/profiles?workspace=kiosk&q=s-50")
        assert visitor.get(page.one("profile-find-all")["href"]).has("profiles-older")
        pages = [page, visitor.get("/profiles?workspace=kiosk")]
        pages.append(visitor.get(pages[-1].one("profiles-older")["href"]))
        pages.append(visitor.get(page.one("profile-link")["href"]))
        assert pages[-1].text("profile-mpid") == one
        pages.append(visitor.get(pages[-1].one("history-older")["href"]))
        pages.append(visitor.submit(pages[-1], "what-if-ask"))
        pages.append(visitor.submit(pages[-2], "what-if-ask", value="nobody"))
        for each in pages:
            assert each.status == 200
            content = [link for link in links(each) if link.startswith("/profiles")]
            menu = ["/profiles"]  # the menu leads back to the shop's own
            forms = [form["action"] for form in each.root.with_tag("form")]
            assert content
            for link in content:
                assert "workspace=kiosk" in link or link in [*menu, *forms], (each.path, link)
            for form in each.root.with_tag("form"):
                if form["action"].startswith("/profiles"):
                    fields = [of.attributes.get("name") for of in form.all()]
                    assert "workspace" in fields, each.path
            # Who looks is somebody in the shop.
            bar = [
                link["href"]
                for link in each.root.with_tag("a")
                if mine in link.attributes.get("href", "")
            ]
            assert set(bar) <= {f"/profiles/{mine}"}

    def test_nobody_is_seen_from_another_workspace(self, store: Store, visitor: Browser) -> None:
        add(visitor, api_key="kiosk-key")
        theirs = ask(store, "kiosk-key", customerid="C-1")["mpid"]
        mine = mpid(visitor.get("/"))
        assert visitor.get(f"/profiles/{theirs}").status == 404
        assert visitor.get(f"/profiles/{mine}?workspace=kiosk").status == 404
        assert visitor.get(f"/profiles/{theirs}?workspace=kiosk").status == 200
        assert visitor.get("/profiles?q=C-1").has("profiles-empty")
        question = "action=search&type=customerid&value=C-1"
        answer = visitor.get(f"/profiles?{question}").one("what-if-answer")
        assert answer["data-outcome"] == "nobody"
        answer = visitor.get(f"/profiles?workspace=kiosk&{question}").one("what-if-answer")
        assert answer["data-mpid"] == theirs

    def test_an_unknown_one_is_said_kindly(self, store: Store, visitor: Browser) -> None:
        one = ask(store, "demo-web-key", customerid="C-1")["mpid"]
        for name in ("nix", "Default", "%00", "x" * 500, "default%0A"):
            for path in ("/profiles", f"/profiles/{one}"):
                page = visitor.get(f"{path}?workspace={name}")
                assert page.status == 404
                assert "no such workspace" in page.text("error-page")
        assert visitor.get("/profiles?workspace=").status == 200
        assert visitor.get(f"/profiles/{one}?workspace=default").status == 200

    def test_the_empty_one_says_how_to_begin(self, visitor: Browser) -> None:
        add(visitor)
        page = visitor.get("/profiles?workspace=kiosk")
        assert "/workspaces/kiosk" in links(page)
        assert page.has("profiles-empty")

    def test_a_remote_service_has_only_the_shop_s_own(
        self, open_store: OpenStore, database_url: str
    ) -> None:
        remote = open_store(database_url=database_url, idsync_url="https://identity.example/v1")
        visitor = remote.browser()
        add(visitor, api_key="kiosk-key")
        one = ask(remote, "kiosk-key", customerid="C-1")["mpid"]
        assert visitor.get("/profiles").has("profiles-remote")
        page = visitor.get("/profiles?workspace=kiosk")
        assert not page.has("profiles-remote")
        assert page.one("profile-row")["data-mpid"] == one
        page = visitor.get(f"/profiles/{one}?workspace=kiosk")
        assert page.one("profile-kind")["data-kind"] == "known"
        assert not page.has("profiles-remote")


def test_looking_and_managing_is_no_visit_to_the_shop(store: Store, visitor: Browser) -> None:
    page = add(visitor)
    visitor.submit(page, "workspace-change", identity_strategy="default")
    visitor.submit(visitor.get("/workspaces/kiosk/remove"), "workspace-forget")
    for table in ("sessions", "events", "identity_intents", "profiles"):
        assert store.rows(table) == [], table


def test_only_observers_may_send_forms(open_store: OpenStore, database_url: str) -> None:
    for settings in (PRODUCTION, {"operator_token": "let me look"}):
        store = open_store(database_url=database_url, **settings)
        stranger = store.browser()
        token = stranger.get("/privacy").form_of("opt-out")["csrf_token"]
        data = {"id": "kiosk", "csrf_token": token, "form_token": "a-one-time-token-01"}
        for path in ("/workspaces", "/workspaces/kiosk", "/workspaces/kiosk/remove"):
            page = stranger.open(path, method="POST", data=data)
            assert page.status in (302, 404)
        assert [row["id"] for row in store.rows("workspaces")] == ["default"]


@pytest.mark.parametrize("path", ["/workspaces", "/workspaces/default"])
def test_the_pages_are_sent_like_all_others(visitor: Browser, path: str) -> None:
    headers = visitor.get(path).response.headers
    assert headers["Cache-Control"] == "no-store"
    assert "default-src" in headers["Content-Security-Policy"]
