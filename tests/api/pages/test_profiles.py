"""Profiles: whom there is, how somebody came to be, and what would happen if; looking changes nothing."""

from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from tests.api.browsing import Browser, Page
from tests.api.conftest import OpenStore, Store
from tests.api.journeys import buy, mpid, sign_in, sign_out, sign_up
from tests.api.pages.people import ask, change, counts, found, history, identify, rows


def what_if(visitor: Browser, path: str = "/profiles", **asked: Any) -> Page:
    """Ask, by the address that the form makes."""
    identities = asked.pop("identities", {})
    pairs = [*asked.items()]
    pairs += [pair for of in identities.items() for pair in zip(("type", "value"), of, strict=True)]
    return visitor.get(f"{path}?{urlencode(pairs)}")


def rules(page: Page) -> list[str]:
    """The steps of an answer."""
    return [step["data-rule"] for step in page.all("what-if-step")]


class TestList:
    """Whom there is."""

    def test_nobody_yet(self, visitor: Browser) -> None:
        page = visitor.get("/profiles")
        assert page.has("profiles-empty")
        assert counts(page) == {"known": "0", "anonymous": "0", "orphan": "0"}

    def test_each_is_known_anonymous_or_orphan_and_counted(
        self, store: Store, visitor: Browser
    ) -> None:
        helen = identify(store, email="helen@example.com")
        ed = identify(store, customerid="C-1", email="ed@example.com")
        kiosk = identify(store, device_application_stamp="kiosk")
        change(store, ed, "email", "ed@example.com", "helen@example.com")

        page = visitor.get("/profiles")

        assert set(rows(page)) == {("orphan", helen), ("known", ed), ("anonymous", kiosk)}
        assert counts(page) == {"known": "1", "anonymous": "1", "orphan": "1"}
        assert not page.has("profile-counts-bound")

    def test_more_than_are_counted_is_said(
        self, store: Store, visitor: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("higgs_shop.idsync_service.directory.MOST_COUNTED", 2)
        for number in range(2):
            identify(store, device_application_stamp=f"s-{number}")
        store.clock.forward(seconds=1)
        identify(store, customerid="C-1")
        page = visitor.get("/profiles")
        assert counts(page) == {"known": "1", "anonymous": "1", "orphan": "0"}
        assert "newest 2" in page.text("profile-counts-bound")

    @pytest.mark.parametrize("is_at_once", [True, False])
    def test_the_newest_come_first_and_the_older_ones_page_by_page(
        self, store: Store, visitor: Browser, is_at_once: bool
    ) -> None:
        made = []
        for number in range(52):
            made.append(identify(store, device_application_stamp=f"s-{number}"))
            store.clock.forward(seconds=0 if is_at_once else 1)
        newest = visitor.get("/profiles")
        older = visitor.get(newest.one("profiles-older")["href"])
        listed = [number for _, number in rows(newest) + rows(older)]
        assert listed == sorted(made, key=int, reverse=True) if is_at_once else made[::-1]
        assert len(rows(newest)) == 50
        assert not older.has("profiles-older")


class TestSearch:
    """By any identity, or by MPID."""

    def test_any_identity_and_the_mpid_find_the_same(self, store: Store, visitor: Browser) -> None:
        one = identify(store, customerid="C-1", email="ada@example.com", other9="x", push_token="t")
        identify(store, device_application_stamp="somebody-else")
        for text in ("C-1", "ada@example.com", "Ada@Example.com", "x", "t", one, f" {one} "):
            assert found(visitor, text) == [one], text

    def test_an_address_is_found_in_whatever_capitals(self, store: Store, visitor: Browser) -> None:
        capital = identify(store, email="Ada@Example.com")
        small = identify(store, email="ada@example.com")
        handle = identify(store, other="Ada@Example.com")
        for text in ("Ada@Example.com", "ada@example.com", "ADA@EXAMPLE.COM"):
            assert {capital, small} <= set(found(visitor, text)), text
        assert handle in found(visitor, "Ada@Example.com")
        assert handle not in found(visitor, "ada@example.com")
        assert capital != small, "the identity service itself tells capitals apart"

    def test_the_short_mpid_that_every_list_shows_finds_it_among_the_newest(
        self, store: Store, visitor: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one = identify(store, customerid="C-1")
        store.clock.forward(seconds=1)
        identify(store, customerid="C-2")
        short = visitor.get(f"/profiles?q={one}").one("profile-link").text
        assert short == f"…{one[-6:]}"
        for text in (short, one[-6:], f"...{one[-6:]}"):
            assert found(visitor, text) == [one], text
        assert found(visitor, one[-5:]) == []
        monkeypatch.setattr("higgs_shop.idsync_service.directory.MOST_SHORTENED", 1)
        assert found(visitor, short) == []

    def test_only_the_whole_value_in_its_case_is_found(
        self, store: Store, visitor: Browser
    ) -> None:
        one = identify(store, customerid="C-1", email="Ada@example.com")
        for text in ("c-1", "C", "C-%", "ada", "ada@example", one[:-1], f"0{one}", "C-1\x00"):
            assert found(visitor, text) == [], text
        assert visitor.get("/profiles?q=C").has("profiles-empty")

    def test_a_value_that_several_carry_finds_them_all_newest_first(
        self, store: Store, visitor: Browser
    ) -> None:
        known = identify(store, customerid="C-1", device_application_stamp="kiosk")
        store.clock.forward(seconds=1)
        anonymous = identify(store, device_application_stamp="kiosk")
        store.clock.forward(seconds=1)
        number = identify(store, mobile_number=known)
        assert found(visitor, "kiosk") == [anonymous, known]
        assert found(visitor, known) == [number, known]

    def test_what_is_found_goes_on_page_by_page(self, store: Store, visitor: Browser) -> None:
        for number in range(52):
            known = {"customerid": f"C-{number}", "device_application_stamp": "kiosk"}
            ask(store, "login", {"known_identities": known})
        page = visitor.get("/profiles?q=kiosk")
        older = visitor.get(page.one("profiles-older")["href"])
        assert len({*rows(page), *rows(older)}) == 52

    def test_any_query_gets_a_page(self, store: Store, visitor: Browser) -> None:
        one = identify(store, customerid="C-1")
        for query in (
            "after=1_" + "9" * 19,
            "after=x",
            "after=" + "9" * 16 + "_-" + "9" * 19,
            "after=0_0&q=C-1",
            "q=%00",
            "q=%ff",
            "q=" + "x" * 5_000,
            "history_before=-1&events_before=x",
            "history_before=1&events_before=1",
            "history_before=" + "9" * 400,
            "action",
            "action=search&type=email",
            "action=search&value=x",
            "action=identify&" + "type=email&value=x&" * 200,
        ):
            for path in ("/profiles", f"/profiles/{one}"):
                assert visitor.get(f"{path}?{query}").status == 200, (path, query)


class TestProfile:
    """One person, and why they are who they are."""

    def test_what_is_no_profile_is_not_found(self, store: Store, visitor: Browser) -> None:
        one = identify(store, customerid="C-1")
        for text in ("1", "0", "x", "-1", f"0{one}", f"+{one}", "9" * 19, "9" * 400, "1.0", "١"):
            assert visitor.get(f"/profiles/{text}").status == 404, text

    def test_a_shopper_is_told_from_the_first_page_to_signing_out(self, visitor: Browser) -> None:
        visitor.get("/")
        sign_up(visitor, email="grace@example.com")
        number = mpid(visitor.get("/account"))
        buy(visitor)
        sign_out(visitor)
        next_number = mpid(visitor.get("/account"))

        page = visitor.get(f"/profiles/{number}")

        assert page.text("profile-mpid") == number
        assert page.one("profile-kind")["data-kind"] == "known"
        assert page.text("profile-why").startswith("It holds a login ID")
        assert history(page) == [
            ("logout", "left"),
            ("login", "converted"),
            ("identify", "made"),
        ]
        left, converted, made = page.all("history-chapter")
        assert left["data-mpid"] == next_number
        assert f"/profiles/{next_number}" in [link["href"] for link in left.with_tag("a")]
        assert "anonymous until now, is converted" in converted.text
        assert "email: grace@example.com was added" in converted.text
        assert "nobody carries it" in made.text
        identities = {of["data-identity-type"]: of.text for of in page.all("profile-identity")}
        assert list(identities) == ["customerid", "email", "device_application_stamp"]
        assert "login ID" in identities["email"]
        assert "login ID" not in identities["device_application_stamp"]
        names = [event["data-event-name"] for event in page.all("profile-event")]
        assert "purchase" in names
        assert len(page.all("profile-device")) == 1
        assert [of["data-name"] for of in page.all("profile-attribute")] == [
            "name",
            "wants_marketing",
        ]

    def test_signing_in_tells_both_whom_the_client_left_and_whom_it_found(
        self, store: Store, visitor: Browser
    ) -> None:
        elsewhere = store.browser()
        known = mpid(sign_in(elsewhere))
        anonymous = mpid(visitor.get("/"))
        sign_in(visitor)
        page = visitor.get(f"/profiles/{anonymous}")
        assert history(page) == [("alias", "aliased"), ("login", "left"), ("identify", "made")]
        assert page.all("history-chapter")[1]["data-mpid"] == known
        assert page.one("profile-kind")["data-kind"] == "anonymous"
        _alias, login, *_ = visitor.get(f"/profiles/{known}").all("history-chapter")
        assert anonymous[-6:] in login.text
        assert login["data-outcome"] == "changed"
        assert len(visitor.get(f"/profiles/{known}").all("profile-device")) == 2

    def test_a_lost_identity_is_in_the_history_of_who_lost_it(
        self, store: Store, visitor: Browser
    ) -> None:
        loser = identify(store, customerid="C-1", email="shared@example.com")
        winner = identify(store, customerid="C-2", email="shared@example.com")
        assert winner != loser

        page = visitor.get(f"/profiles/{loser}")

        assert history(page) == [("identify", "lost"), ("identify", "made")]
        lost = page.all("history-chapter")[0]
        assert lost["data-mpid"] == winner
        assert "lost shared@example.com" in lost.find("history-effect")[-1].text
        assert page.one("profile-kind")["data-kind"] == "known"
        assert history(visitor.get(f"/profiles/{winner}")) == [("identify", "made")]

    def test_an_orphan_says_who_has_its_last_identity(self, store: Store, visitor: Browser) -> None:
        orphan = identify(store, email="helen@example.com")
        taker = identify(store, customerid="C-1", email="ed@example.com")
        change(store, taker, "email", "ed@example.com", "helen@example.com")

        page = visitor.get(f"/profiles/{orphan}")

        assert page.one("profile-kind")["data-kind"] == "orphan"
        assert page.all("profile-identity") == []
        assert history(page) == [("modify", "orphaned"), ("identify", "made")]
        end = page.all("history-chapter")[0]
        assert end["data-mpid"] == taker
        assert "ed@example.com → helen@example.com" in end.text
        assert history(visitor.get(f"/profiles/{taker}"))[0] == ("modify", "changed")

    def test_one_that_lost_what_it_was_left_for_is_told_once(
        self, store: Store, visitor: Browser
    ) -> None:
        """The client leaves a profile by the very call that takes its e-mail away."""
        loser = identify(store, customerid="C-1", email="a@example.com")
        known = {"customerid": "C-2", "email": "a@example.com"}
        ask(store, "login", {"known_identities": known, "previous_mpid": loser})
        assert history(visitor.get(f"/profiles/{loser}")) == [
            ("login", "lost"),
            ("identify", "made"),
        ]

    def test_long_histories_and_many_events_go_on_page_by_page(
        self, store: Store, visitor: Browser
    ) -> None:
        number = mpid(visitor.get("/"))
        stamp = store.rows("device_users")[0]["stamp"]
        for turn in range(24):
            known = {"other": f"h-{turn}"} if turn % 2 else {}
            identify(store, device_application_stamp=stamp, **known)
            visitor.get("/about")
        page = visitor.get(f"/profiles/{number}")
        assert [len(page.all(name)) for name in ("history-chapter", "profile-event")] == [20, 25]
        earlier = visitor.get(page.one("history-older")["href"])
        assert history(earlier)[-2:] == [("identify", "returned"), ("identify", "made")]
        assert len(history(earlier)) == 5
        assert not earlier.has("history-older")
        events = visitor.get(page.one("profile-events-older")["href"])
        names = [event["data-event-name"] for event in events.all("profile-event")]
        assert names[-1] == "Session Start"
        assert len(names) + 25 == len(store.events())

    def test_the_x_ray_and_the_inbox_lead_there(self, store: Store, visitor: Browser) -> None:
        number = mpid(visitor.get("/"))
        links = [link["href"] for link in visitor.get("/x-ray").root.with_tag("a")]
        assert f"/profiles/{number}" in links
        address = f"/inbox/{store.parts.secrets.inbox_token}"
        for body in (store.bodies()[0], {"mpid": "../cart", "events": [{"event_type": "x"}]}):
            assert visitor.open(address, method="POST", json=body).status == 204
        forged, real = visitor.get("/inbox").all("inbox-request")
        assert f"/profiles/{number}" in [link["href"] for link in real.with_tag("a")]
        assert [link["href"] for link in forged.with_tag("a")] == [forged.with_tag("a")[0]["href"]]


class TestWhatIf:
    """A question, answered by the same rules, that changes nothing."""

    def test_the_form_asks_for_a_known_person(self, store: Store, visitor: Browser) -> None:
        number = identify(store, customerid="C-1", email="ada@example.com")
        page = visitor.get(f"/profiles/{number}")
        answer = visitor.submit(page, "what-if-ask")
        assert answer.one("what-if-answer")["data-mpid"] == number
        assert rules(answer) == ["looked_up", "returned"]

    @pytest.mark.parametrize("action", ["identify", "login", "logout", "search"])
    def test_nothing_is_written(self, store: Store, visitor: Browser, action: str) -> None:
        known = {"customerid": "C-1", "email": "ada@example.com"}
        number = identify(store, **known, device_application_stamp="d-1")
        anonymous = identify(store, device_application_stamp="d-2")
        before = store.dump()
        for identities in (
            known,
            {"device_application_stamp": "d-1"},
            {"device_application_stamp": "d-2"},
            {"customerid": "C-2", "email": "ada@example.com"},
            {"email": "new@example.com"},
        ):
            for previous in ("", number, anonymous, "123"):
                page = what_if(
                    visitor, action=action, identities=identities, previous_mpid=previous
                )
                assert rules(page), (identities, previous)
        visitor.get(f"/profiles/{number}")
        visitor.get("/profiles?q=C-1")
        assert store.dump() == before

    @pytest.mark.parametrize("action", ["identify", "login", "logout"])
    @pytest.mark.parametrize(
        "identities",
        [
            {"customerid": "C-1"},
            {"customerid": "C-9", "email": "ada@example.com", "device_application_stamp": "d-1"},
            {"customerid": "C-9", "device_application_stamp": "d-2"},
            {"device_application_stamp": "d-1"},
            {"device_application_stamp": "d-2"},
            {"device_application_stamp": "d-3"},
        ],
        ids=["known", "takes-an-email", "converts", "protected", "anonymous", "stranger"],
    )
    def test_what_was_foretold_happens(
        self, store: Store, visitor: Browser, action: str, identities: dict[str, str]
    ) -> None:
        identify(store, customerid="C-1", email="ada@example.com", device_application_stamp="d-1")
        identify(store, device_application_stamp="d-2")
        page = what_if(visitor, action=action, identities=identities)
        foretold = page.one("what-if-answer")
        answer = ask(store, action, {"known_identities": identities})
        decision = store.rows("identity_decisions")[-1]
        assert rules(page) == [step["rule"] for step in decision["record"]["steps"]]
        is_new = "profile_created" in rules(page)
        assert foretold["data-outcome"] == ("new" if is_new else "found")
        assert foretold["data-mpid"] == ("" if is_new else answer["mpid"])
        words = "somebody is logged in" if answer["is_logged_in"] else "nobody is logged in"
        assert words in foretold.text

    def test_a_search_says_who_or_that_nobody_is_found(
        self, store: Store, visitor: Browser
    ) -> None:
        number = identify(store, customerid="C-1")
        page = what_if(visitor, action="search", identities={"customerid": "C-1"})
        assert page.one("what-if-answer")["data-mpid"] == number
        page = what_if(visitor, action="search", identities={"customerid": "C-2"})
        assert page.one("what-if-answer")["data-outcome"] == "nobody"

    def test_what_the_service_would_refuse_is_said(
        self, open_store: OpenStore, database_url: str
    ) -> None:
        store = open_store(
            database_url=database_url,
            immutable_ids=("customerid",),
            identity_priority=("email", "customerid"),
        )
        identify(store, customerid="C-1")
        identify(store, email="a@example.com")
        page = what_if(
            store.browser(),
            action="identify",
            identities={"customerid": "C-1", "email": "a@example.com"},
        )
        assert "belongs to another profile" in page.text("what-if-refused")
        assert not page.has("what-if-answer")

    def test_mistakes_are_named_where_they_were_made(self, visitor: Browser) -> None:
        asked = [
            ("action", "fly"),
            *(("type", "email"), ("value", "a")),
            *(("type", "email"), ("value", "b")),
            *(("type", "nothing"), ("value", "c")),
            *(("type", "other"), ("value", "x" * 257)),
            *(("type", "other2"), ("value", "\x00")),
            ("previous_mpid", "abc"),
        ]
        page = visitor.get(f"/profiles?{urlencode(asked)}")
        assert not page.has("what-if-answer")
        assert "identify" in page.text("what-if-action-error")
        twice, unknown = page.all("what-if-type-error")
        assert "twice" in twice.text
        assert "“nothing” is not an identity type" in unknown.text
        too_long, unkeepable = page.all("what-if-value-error")
        assert "256" in too_long.text
        assert "NUL" in unkeepable.text
        assert "64-bit" in page.text("what-if-previous-mpid-error")
        assert [row["value"] for row in page.all("what-if-value")][:3] == ["a", "b", "c"]

    def test_a_question_without_identities_is_a_mistake(self, visitor: Browser) -> None:
        page = visitor.submit(visitor.get("/profiles"), "what-if-ask", value="")
        assert "one identity" in page.text("what-if-value-error")

    def test_the_form_grows_with_what_is_filled_in(self, visitor: Browser) -> None:
        identities = {f"other{number}": "x" for number in range(2, 11)}
        page = what_if(visitor, action="search", identities=identities)
        assert len(page.all("what-if-value")) == 10


class TestStrategies:
    """What differs with the other identity strategies."""

    def test_a_linked_profile_names_its_source(
        self, open_store: OpenStore, database_url: str
    ) -> None:
        store = open_store(database_url=database_url, identity_strategy="profile_link")
        anonymous = identify(store, device_application_stamp="d-1")
        known = {"customerid": "C-1", "device_application_stamp": "d-1"}
        body = {"known_identities": known, "previous_mpid": anonymous}
        number = str(ask(store, "login", body)["mpid"])
        visitor = store.browser()
        source = visitor.get(f"/profiles/{number}").one("profile-source")
        assert source.with_tag("a")[0]["href"] == f"/profiles/{anonymous}"
        page = visitor.get(f"/profiles/{anonymous}")
        assert history(page) == [("login", "left"), ("identify", "made")]
        assert page.all("history-effect")[0]["data-rule"] == "new_profile_linked"
        assert not page.has("profile-source")

    def test_a_call_that_the_strategy_does_not_offer_would_be_refused(
        self, open_store: OpenStore, database_url: str
    ) -> None:
        store = open_store(database_url=database_url, identity_strategy="best_match")
        number = identify(store, email="ada@example.com")
        visitor = store.browser()
        page = what_if(visitor, action="login", identities={"email": "ada@example.com"})
        assert "best_match" in page.text("what-if-refused")
        page = what_if(visitor, action="identify", identities={"email": "ada@example.com"})
        assert page.one("what-if-answer")["data-mpid"] == number
        page = visitor.get(f"/profiles/{number}")
        assert page.one("profile-kind")["data-kind"] == "anonymous"
        assert "best_match" in page.text("profile-why")


class TestRemoteService:
    """A remote identity service keeps its profiles to itself."""

    @pytest.fixture
    def store(self, open_store: OpenStore, database_url: str) -> Store:
        def answer(request: httpx.Request) -> httpx.Response:
            known = b"customerid" in request.read()
            return httpx.Response(
                200,
                json={
                    "context": None,
                    "mpid": "77000000000000001" if known else "-5",
                    "matched_identities": {},
                    "is_ephemeral": False,
                    "is_logged_in": known,
                },
                request=request,
            )

        return open_store(
            database_url=database_url,
            idsync_url="https://identity.example/v1",
            identity_transport=httpx.MockTransport(answer),
        )

    def test_the_list_shows_whom_devices_have_seen_and_says_so(
        self, store: Store, visitor: Browser
    ) -> None:
        visitor.get("/")
        store.clock.forward(seconds=1)
        sign_in(visitor)
        page = visitor.get("/profiles")
        assert "identity.example" in page.text("profiles-remote")
        assert rows(page) == [("known", "77000000000000001"), ("anonymous", "-5")]
        assert not page.has("profile-count")
        assert not page.has("what-if")
        stamp = store.rows("devices")[0]["stamp"]
        assert set(found(visitor, stamp)) == {"77000000000000001", "-5"}
        assert found(visitor, "-5") == ["-5"]
        for text in ("returning_user", "nobody", "\x00", "9" * 30):
            assert found(visitor, text) == []

    def test_a_person_is_shown_as_far_as_the_store_knows(self, visitor: Browser) -> None:
        sign_in(visitor)
        page = visitor.get("/profiles/77000000000000001")
        assert "identity.example" in page.text("profiles-remote")
        assert page.all("history-chapter") == []
        assert "returning_user" in page.text("profile-device")
        assert "user_identity_change" in {
            event["data-event-type"] for event in page.all("profile-event")
        }
        assert visitor.get("/profiles/-5").status == 200
        assert visitor.get("/profiles/-6").status == 404
