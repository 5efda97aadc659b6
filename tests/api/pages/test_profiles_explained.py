"""A profile's page says why it looks as it does: who is found now, what decided, and what became of it all."""

import pytest

from tests.api.browsing import Browser, Page
from tests.api.conftest import OpenStore, Store
from tests.api.journeys import mpid, sign_in, sign_out, sign_up
from tests.api.pages.people import ask, change, counts, history, identify, rows


def login(store: Store, previous: str | None = None, **identities: str) -> str:
    """A login of some other client. Returns the MPID."""
    body = {"known_identities": identities, "previous_mpid": previous}
    return str(ask(store, "login", body)["mpid"])


def logout(store: Store, previous: str | None = None, **identities: str) -> str:
    """A logout of some other client. Returns the MPID."""
    body = {"known_identities": identities, "previous_mpid": previous}
    return str(ask(store, "logout", body)["mpid"])


def leads_to(page: Page) -> dict[str, str]:
    """Where each identity leads when it is given alone, by type."""
    return {
        of["data-identity-type"]: of.find("identity-leads-to")[0]["data-leads-to"]
        for of in page.all("profile-identity")
    }


def told(page: Page, *, nth: int = 0) -> list[str]:
    """The rules of the steps that the nth decision shows without anything being opened."""
    chapter = page.all("history-chapter")[nth]
    return [step["data-rule"] for step in chapter.find("history-effect")]


class TestWhoIsFoundNow:
    """Several profiles may hold the same device: only one of them is returned."""

    @pytest.mark.parametrize("seconds", [1, 0], ids=["seen-later", "smaller-mpid"])
    def test_a_shadowed_profile_names_the_one_that_is_returned(
        self, store: Store, visitor: Browser, seconds: int
    ) -> None:
        first = identify(store, device_application_stamp="kiosk")
        store.clock.forward(seconds=seconds)
        second = logout(store, device_application_stamp="kiosk")
        winner = identify(store, device_application_stamp="kiosk")
        shadowed = ({first, second} - {winner}).pop()

        page = visitor.get(f"/profiles/{shadowed}")
        link = page.one("profile-shadowed").with_tag("a")[0]
        assert link["href"] == f"/profiles/{winner}"
        assert "smaller MPID" in page.text("profile-why") or seconds
        assert leads_to(page) == {"device_application_stamp": "another"}
        page = visitor.get(f"/profiles/{winner}")
        assert not page.has("profile-shadowed")
        assert "alone gets it" in page.text("profile-why")
        assert leads_to(page) == {"device_application_stamp": "here"}

    def test_a_profile_may_be_found_by_one_identity_and_shadowed_by_another(
        self, store: Store, visitor: Browser
    ) -> None:
        one = identify(store, other="handle", device_application_stamp="kiosk")
        store.clock.forward(seconds=1)
        logout(store, device_application_stamp="kiosk")
        page = visitor.get(f"/profiles/{one}")
        assert leads_to(page) == {"other": "here", "device_application_stamp": "another"}
        assert len(page.one("profile-shadowed").with_tag("a")) == 1

    def test_the_device_of_somebody_known_leads_to_nobody(
        self, store: Store, visitor: Browser
    ) -> None:
        one = identify(store, customerid="C-1", device_application_stamp="d-1")
        page = visitor.get(f"/profiles/{one}")
        assert leads_to(page) == {"customerid": "here", "device_application_stamp": "nobody"}

    def test_somebody_who_had_a_login_id_is_not_said_to_have_said_nothing(
        self, store: Store, visitor: Browser
    ) -> None:
        one = identify(store, email="ada@example.com", device_application_stamp="d-1")
        never = identify(store, device_application_stamp="d-2")
        change(store, one, "email", "ada@example.com", None)
        why = visitor.get(f"/profiles/{one}").text("profile-why")
        assert "no login ID any more" in why
        assert "nobody has said" not in why
        assert "nobody has said" in visitor.get(f"/profiles/{never}").text("profile-why")


class TestSources:
    """profile_link notes where a profile comes from; only an alias carries anything over."""

    @pytest.fixture
    def store(self, open_store: OpenStore, database_url: str) -> Store:
        return open_store(
            database_url=database_url, identity_strategy="profile_link", alias_delay_seconds=60
        )

    def test_without_an_alias_nothing_is_said_to_be_carried_over(
        self, store: Store, visitor: Browser
    ) -> None:
        anonymous = identify(store, device_application_stamp="d-1")
        number = login(store, anonymous, customerid="C-1", device_application_stamp="d-1")
        source = visitor.get(f"/profiles/{number}").one("profile-source")
        assert source["data-state"] == "not_asked"
        assert "nothing carried over yet" in source.text
        origin = visitor.get(f"/profiles/{anonymous}").one("profile-is-source-of")
        assert origin.with_tag("a")[0]["href"] == f"/profiles/{number}"
        assert "nothing carried over yet" in origin.text

    def test_both_say_how_much_was_carried_over(self, store: Store, visitor: Browser) -> None:
        anonymous = mpid(visitor.get("/"))
        number = mpid(sign_up(visitor))
        store.parts.background.do_round()
        waiting = visitor.get(f"/profiles/{number}").one("profile-source")
        assert waiting["data-state"] == "waiting"
        before = sum(str(event.mpid) == anonymous for event in store.events())
        store.clock.forward(minutes=2)
        store.parts.background.do_round()
        for path, testid in ((number, "profile-source"), (anonymous, "profile-is-source-of")):
            link = visitor.get(f"/profiles/{path}").one(testid)
            assert link["data-state"] == "done"
            assert f"{before} events carried over" in link.text

    def test_an_alias_is_one_sentence(self, store: Store, visitor: Browser) -> None:
        anonymous = mpid(visitor.get("/"))
        number = mpid(sign_up(visitor))
        store.parts.background.do_round()
        store.clock.forward(minutes=2)
        store.parts.background.do_round()
        for path in (anonymous, number):
            page = visitor.get(f"/profiles/{path}")
            chapters = [
                chapter
                for chapter in page.all("history-chapter")
                if chapter["data-outcome"] == "aliased"
            ]
            assert [len(chapter.find("history-effect")) for chapter in chapters] == [1, 1]
            assert "copied to profile" in chapters[0].find("history-effect")[0].text

    def test_a_logout_prefers_nobody_where_nobody_matters(
        self, store: Store, visitor: Browser
    ) -> None:
        identify(store, device_application_stamp="d-1")
        store.clock.forward(seconds=1)
        logout(store, device_application_stamp="d-1")
        store.clock.forward(seconds=1)
        third = logout(store, device_application_stamp="d-1")
        page = visitor.get(f"/profiles/{third}")
        (chapter,) = page.all("history-chapter")
        rules = [step["data-rule"] for step in chapter.find("history-step")]
        assert rules == ["looked_up", "new_profile_at_logout", "profile_created", "identity_added"]


class TestWhatDecided:
    """The deciding step is there to read, without anything being opened."""

    def test_a_new_person_says_that_the_login_id_is_new(
        self, store: Store, visitor: Browser
    ) -> None:
        number = login(store, customerid="C-1")
        page = visitor.get(f"/profiles/{number}")
        assert told(page) == ["new_person", "identity_added"]
        assert "never seen before" in page.all("history-effect")[0].text

    def test_whoever_took_an_address_says_from_whom(self, store: Store, visitor: Browser) -> None:
        loser = identify(store, customerid="C-1", email="shared@example.com")
        winner = identify(store, customerid="C-2", email="shared@example.com")
        page = visitor.get(f"/profiles/{winner}")
        assert "unique_identity_taken" in told(page)
        taken = next(
            step
            for step in page.all("history-effect")
            if step["data-rule"] == "unique_identity_taken"
        )
        assert "lost shared@example.com" in taken.text
        assert taken.with_tag("a")[0]["href"] == f"/profiles/{loser}"

    def test_the_strategy_of_now_and_of_each_decision_is_named(
        self, open_store: OpenStore, database_url: str
    ) -> None:
        store = open_store(database_url=database_url, identity_strategy="profile_link")
        number = identify(store, device_application_stamp="d-1")
        later = open_store(database_url=database_url, identity_strategy="profile_isolation")
        visitor = later.browser()
        page = visitor.get(f"/profiles/{number}")
        assert page.text("profile-strategy") == "profile_isolation"
        assert page.text("history-strategy") == "profile_link"
        assert "the strategy was profile_link then" in page.all("history-chapter")[0].text
        assert visitor.get("/profiles").text("profiles-strategy") == "profile_isolation"

    def test_the_chosen_one_of_many_is_named(self, store: Store, visitor: Browser) -> None:
        numbers = []
        for _ in range(60):
            numbers.append(logout(store, device_application_stamp="kiosk"))
            store.clock.forward(seconds=1)
        chosen = identify(store, device_application_stamp="kiosk")
        assert chosen == numbers[-1]
        page = visitor.get(f"/profiles/{chosen}")
        looked_up = page.all("history-chapter")[0].find("history-step")[0]
        assert "and 40 more" in looked_up.text
        assert looked_up.with_tag("a")[0]["href"] == f"/profiles/{chosen}"

    def test_an_old_value_that_was_not_there_is_said_to_be_ignored(
        self, store: Store, visitor: Browser
    ) -> None:
        one = identify(store, email="ada@example.com")
        change(store, one, "email", "nobody@example.com", "ada.new@example.com")
        page = visitor.get(f"/profiles/{one}")
        assert told(page) == ["old_value_ignored", "identity_replaced"]
        assert "nobody@example.com, was not there" in page.all("history-effect")[0].text


class TestTimeline:
    """What happened again and again is told once, with its times."""

    def test_the_same_again_is_one_line_with_a_count(self, store: Store, visitor: Browser) -> None:
        one = identify(store, device_application_stamp="d-1")
        for _ in range(5):
            store.clock.forward(minutes=1)
            identify(store, device_application_stamp="d-1")
        page = visitor.get(f"/profiles/{one}")
        assert history(page) == [("identify", "returned"), ("identify", "made")]
        again = page.all("history-chapter")[0]
        assert again["data-times"] == "5"
        assert "Found by identify 5 times" in again.text
        first, last, *others = (time.text for time in again.find("exact-time"))
        assert (first, last) == ("2026-03-01 10:16:00", "2026-03-01 10:20:00")
        assert others == [f"2026-03-01 10:{minute}:00" for minute in (19, 18, 17, 16)]
        assert len(again.find("history-run-item")) == 4

    def test_what_differs_stands_by_itself(self, store: Store, visitor: Browser) -> None:
        one = identify(store, customerid="C-1", email="a@example.com")
        identify(store, customerid="C-1")
        identify(store, email="a@example.com")
        identify(store, email="a@example.com")
        page = visitor.get(f"/profiles/{one}")
        assert [chapter["data-times"] for chapter in page.all("history-chapter")] == ["2", "1", "1"]

    def test_exact_times_are_there_to_read(self, store: Store, visitor: Browser) -> None:
        one = identify(store, customerid="C-1")
        page = visitor.get(f"/profiles/{one}")
        assert {time.text for time in page.all("exact-time")} == {"2026-03-01 10:15:00"}


class TestFinding:
    """From a list to the person, also by what they do not have any more."""

    def test_an_address_that_was_changed_or_taken_finds_who_had_it(
        self, store: Store, visitor: Browser
    ) -> None:
        changed = identify(store, customerid="C-1", email="Old@Example.com")
        taken = identify(store, customerid="C-2", email="taken@example.com")
        change(store, changed, "email", "Old@Example.com", "new@example.com")
        taker = identify(store, customerid="C-3", email="taken@example.com")

        page = visitor.get("/profiles?q=old%40example.com")
        assert rows(page) == []
        (row,) = page.all("former-row")
        assert row["data-mpid"] == changed
        assert "Old@Example.com" in row.find("former-identity")[0].text
        page = visitor.get("/profiles?q=taken%40example.com")
        assert [number for _, number in rows(page)] == [taker]
        assert [row["data-mpid"] for row in page.all("former-row")] == [taken]
        had = visitor.get(f"/profiles/{changed}").one("profile-former-identity")
        assert "Old@Example.com" in had.text

    def test_what_came_back_is_not_former(self, store: Store, visitor: Browser) -> None:
        one = identify(store, email="a@example.com")
        change(store, one, "email", "a@example.com", "b@example.com")
        change(store, one, "email", "b@example.com", "a@example.com")
        page = visitor.get("/profiles?q=a%40example.com")
        assert [number for _, number in rows(page)] == [one]
        assert not page.has("former-row")
        assert visitor.get("/profiles?q=b%40example.com").has("former-row")

    def test_this_browser_is_marked(self, store: Store, visitor: Browser) -> None:
        identify(store, customerid="C-1")
        number = mpid(visitor.get("/"))
        page = visitor.get("/profiles")
        marked = [row["data-mpid"] for row in page.all("profile-row") if row.find("profile-is-you")]
        assert marked == [number]

    def test_chips_and_devices_lead_to_whoever_has_them(self, visitor: Browser) -> None:
        known = mpid(sign_in(visitor))
        anonymous = mpid(sign_out(visitor))
        page = visitor.get(f"/profiles/{known}")
        shared = visitor.get(page.one("profile-device-link")["href"])
        assert {number for _, number in rows(shared)} == {known, anonymous}
        chip = next(
            chip
            for chip in visitor.get("/profiles").all("identity-chip")
            if chip.text == "customerid returning_user"
        )
        assert [number for _, number in rows(visitor.get(chip["href"]))] == [known]

    def test_a_count_leads_to_those_that_it_counts(self, store: Store, visitor: Browser) -> None:
        known = identify(store, customerid="C-1")
        anonymous = identify(store, device_application_stamp="d-1")
        page = visitor.get("/profiles")
        assert counts(page) == {"known": "1", "anonymous": "1", "orphan": "0"}
        expected = {"known": [known], "anonymous": [anonymous], "orphan": []}
        for link in page.all("profile-kind-filter"):
            shown = visitor.get(link["href"])
            kind = link["data-kind"]
            assert [number for _, number in rows(shown)] == expected[kind]
            assert counts(shown) == counts(page)
        assert visitor.get("/profiles?kind=orphan").has("profiles-empty")
        assert len(rows(visitor.get("/profiles?kind=x"))) == 2

    def test_a_kind_goes_on_page_by_page(self, store: Store, visitor: Browser) -> None:
        for number in range(52):
            identify(store, customerid=f"C-{number}")
            identify(store, device_application_stamp=f"d-{number}")
            store.clock.forward(seconds=1)
        page = visitor.get("/profiles?kind=known")
        older = visitor.get(page.one("profiles-older")["href"])
        listed = [*rows(page), *rows(older)]
        assert len(set(listed)) == 52
        assert {kind for kind, _ in listed} == {"known"}


class TestWhatIfModify:
    """A modify, too, can be asked about."""

    def test_it_says_what_would_change_and_changes_nothing(
        self, store: Store, visitor: Browser
    ) -> None:
        loser = identify(store, email="b@example.com")
        one = identify(store, customerid="C-1", email="a@example.com")
        page = visitor.get(f"/profiles/{one}")
        before = store.dump()
        answer = visitor.submit(
            page, "what-if-modify-ask", old_value="wrong@example.com", new_value="b@example.com"
        )
        assert answer.one("what-if-answer")["data-mpid"] == one
        assert [step["data-rule"] for step in answer.all("what-if-step")] == [
            "unique_identity_taken",
            "orphaned",
            "old_value_ignored",
            "identity_replaced",
        ]
        assert loser in answer.one("what-if-answer").with_tag("a")[1]["href"]
        assert store.dump() == before

    def test_the_answer_is_where_the_address_leads(self, store: Store, visitor: Browser) -> None:
        one = identify(store, customerid="C-1")
        page = visitor.get(f"/profiles/{one}")
        for button in ("what-if-ask", "what-if-modify-ask"):
            action = page.form_of(button).action
            assert action.endswith("#what-if-answer")
        answer = visitor.submit(page, "what-if-ask")
        (place,) = [
            each for each in answer.root.all() if each.attributes.get("id") == "what-if-answer"
        ]
        assert place.find("what-if-answer")

    def test_mistakes_and_refusals_are_said(self, visitor: Browser) -> None:
        page = visitor.submit(visitor.get("/profiles"), "what-if-modify-ask", mpid="x", type="nose")
        assert "64-bit" in page.text("what-if-modify-mpid-error")
        assert "nose" in page.text("what-if-modify-type-error")
        assert "new value" in page.text("what-if-modify-new-value-error")
        page = visitor.submit(
            visitor.get("/profiles"),
            "what-if-modify-ask",
            mpid="1",
            old_value="\x00",
            new_value="a",
        )
        assert "NUL" in page.text("what-if-modify-old-value-error")
        page = visitor.submit(
            visitor.get("/profiles"), "what-if-modify-ask", mpid="1", new_value="a@example.com"
        )
        assert "there is no profile 1" in page.text("what-if-refused")
