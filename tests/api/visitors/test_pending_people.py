"""Who owns what is logged while the identity service has not answered yet, case by case."""

from collections import defaultdict

from tests.api import journeys
from tests.api.browsing import Browser
from tests.api.conftest import FakeClock, Store
from tests.api.visitors.troubled_identity import Trouble, TroubledIdentity

ADA, SAM = "returning_user", "shared_device_user"


def owners(store: Store, *names: str) -> list[int | None]:
    """The MPIDs of the events with these names, in the order in which they were logged."""
    return [event.mpid for event in store.events() if event.name in names]


def catch_up(store: Store, *, minutes: float = 5) -> None:
    """Let time pass, and the background worker work."""
    store.clock.forward(minutes=minutes)
    store.parts.background.do_round()


def actions(identity: TroubledIdentity) -> list[str]:
    """The calls that were carried out, in order."""
    return [call.action for call in identity.calls if call.carried_out]


def mpid_of(store: Store, customer_id: str) -> int:
    """By whom the identity service knows a customer."""
    (mpid,) = [
        row["mpid"]
        for row in store.rows("profile_identities")
        if row["identity_value"] == customer_id
    ]
    return int(mpid)


class TestEventsThatWait:
    """Logged under a call whose answer is out."""

    def test_they_get_their_person_number_and_body_in_the_order_of_logging(
        self, store: Store, identity: TroubledIdentity, visitor: Browser
    ) -> None:
        identity.trouble = Trouble.NO_CONNECTION
        for path in ("/about", "/cart", "/privacy"):
            page = visitor.get(path)
            assert page.status == 200
            assert journeys.identity_state(page) == "pending"
        assert store.bodies() == []
        identity.trouble = Trouble.NONE
        catch_up(store)
        assert [
            (body["context"]["mpid_sequence"], body["events"][0]["event_type"])
            for body in store.bodies()
        ] == [(1, "session_start"), (2, "screen_view"), (3, "screen_view"), (4, "screen_view")]
        assert [body["events"][0]["data"] for body in store.bodies()] == [
            event.data for event in store.events()
        ]
        assert {body["mpid"] for body in store.bodies()} == {owners(store, "About")[0]}

    def test_a_body_is_frozen_with_the_identities_that_the_answer_brought(
        self, store: Store, identity: TroubledIdentity, visitor: Browser
    ) -> None:
        visitor.get("/about")
        identity.trouble = Trouble.FAILED
        journeys.sign_in(visitor, ADA)
        identity.trouble = Trouble.NONE
        catch_up(store)
        views = [body for body in store.bodies() if "My Account" in str(body["events"])]
        known = [
            {identity["identity_type"] for identity in body["user_identities"]} for body in views
        ]
        assert known == [set(), {"customer_id", "email"}], "before signing in, and after"

    def test_signing_in_before_the_first_answer_makes_two_calls_in_order(
        self, store: Store, identity: TroubledIdentity, visitor: Browser
    ) -> None:
        identity.trouble = Trouble.UNAVAILABLE
        visitor.get("/about")
        journeys.sign_in(visitor, ADA)
        visitor.get("/cart")
        identity.trouble = Trouble.NONE
        catch_up(store)
        assert actions(identity) == ["identify", "login"]
        assert set(owners(store, "About", "View My Cart")) == {mpid_of(store, ADA)}

    def test_the_next_page_makes_the_calls_that_are_due(
        self, store: Store, identity: TroubledIdentity, clock: FakeClock, visitor: Browser
    ) -> None:
        identity.trouble = Trouble.FAILED
        visitor.get("/about")
        identity.trouble = Trouble.NONE
        assert journeys.identity_state(visitor.get("/about")) == "pending", "not yet: 1 s"
        clock.forward(seconds=1)
        assert journeys.identity_state(visitor.get("/about")) == "anonymous"
        assert None not in owners(store, "About")

    def test_two_people_one_after_the_other_never_mix(
        self, store: Store, identity: TroubledIdentity, visitor: Browser
    ) -> None:
        """Everything while nobody answers: Ada comes and goes, then Sam."""
        identity.trouble = Trouble.NOT_UNDERSTOOD
        visitor.get("/about")
        journeys.sign_in(visitor, ADA)
        visitor.get("/cart")
        journeys.sign_out(visitor)
        visitor.get("/privacy")
        journeys.sign_in(visitor, SAM)
        visitor.get("/cart")
        identity.trouble = Trouble.NONE
        catch_up(store)
        assert actions(identity) == ["identify", "login", "logout", "login"]
        ada, sam = mpid_of(store, ADA), mpid_of(store, SAM)
        assert ada != sam
        assert owners(store, "View My Cart") == [ada, sam]
        assert owners(store, "Privacy") == [sam], "whoever comes next was anonymous until then"

    def test_who_has_left_owns_nothing_more(
        self, store: Store, identity: TroubledIdentity, visitor: Browser
    ) -> None:
        journeys.sign_in(visitor, ADA)
        identity.trouble = Trouble.NO_CONNECTION
        journeys.sign_out(visitor)
        visitor.get("/cart")
        assert owners(store, "View My Cart") == [None]
        identity.trouble = Trouble.NONE
        catch_up(store)
        (afterwards,) = owners(store, "View My Cart")
        assert afterwards not in {None, mpid_of(store, ADA)}

    def test_a_change_of_identities_makes_nothing_wait(
        self, store: Store, identity: TroubledIdentity, visitor: Browser
    ) -> None:
        journeys.sign_up(visitor)
        identity.trouble = Trouble.NO_CONNECTION
        form = visitor.get("/account/profile")
        visitor.submit(form, "save-profile", email="grace@example.org")
        visitor.get("/cart")
        assert owners(store, "View My Cart") == owners(store, "Welcome")
        identity.trouble = Trouble.NONE
        catch_up(store)
        changed = [event for event in store.events() if event.event_type == "user_identity_change"]
        assert changed[-1].data["new"]["identity"] == "grace@example.org"
        assert changed[-1].mpid == owners(store, "Welcome")[0]


class TestRefusedForGood:
    """The service says 400: trying again is pointless."""

    def test_a_refused_login_leaves_the_anonymous_visitor_who_they_were(
        self, store: Store, identity: TroubledIdentity, visitor: Browser
    ) -> None:
        visitor.get("/about")
        identity.trouble = Trouble.REFUSED
        page = journeys.sign_in(visitor, ADA)
        assert journeys.identity_state(page) == "anonymous"
        assert owners(store, "My Account") == owners(store, "About") * 2

    def test_a_refused_login_after_somebody_else_is_nobodys(
        self, store: Store, identity: TroubledIdentity, visitor: Browser
    ) -> None:
        """Sam signs in over Ada's head, and the service will not have him: he is not Ada."""
        journeys.sign_in(visitor, ADA)
        form = Browser(store.app).get("/account").form_of("sign-in")
        own = visitor.get("/account").form_of("sign-out")
        identity.trouble = Trouble.REFUSED
        answer = visitor.send(
            form.with_values(
                {
                    "csrf_token": own["csrf_token"],
                    "user_id": SAM,
                    "password": journeys.PASSWORD,
                }
            )
        )
        assert answer.status == 303
        visitor.get("/cart")
        assert owners(store, "View My Cart") == [None]
        identity.trouble = Trouble.NONE
        catch_up(store)
        (sams,) = owners(store, "View My Cart")
        assert sams not in {None, mpid_of(store, ADA)}

    def test_a_refused_logout_is_tried_again_and_keeps_everybody_apart(
        self, store: Store, identity: TroubledIdentity, visitor: Browser
    ) -> None:
        journeys.sign_in(visitor, ADA)
        identity.trouble = Trouble.REFUSED
        journeys.sign_out(visitor)
        visitor.get("/cart")
        journeys.sign_in(visitor, SAM)
        visitor.get("/privacy")
        catch_up(store)
        assert owners(store, "View My Cart", "Privacy") == [None, None]
        identity.trouble = Trouble.NONE
        catch_up(store)
        assert set(owners(store, "View My Cart", "Privacy")) == {mpid_of(store, SAM)}

    def test_a_refused_identify_of_a_stranger_is_tried_again(
        self, store: Store, identity: TroubledIdentity, visitor: Browser
    ) -> None:
        identity.trouble = Trouble.REFUSED
        visitor.get("/about")
        assert owners(store, "About") == [None]
        identity.trouble = Trouble.NONE
        catch_up(store)
        assert None not in owners(store, "About")

    def test_a_refused_identify_of_a_new_session_leaves_the_same_person(
        self, store: Store, identity: TroubledIdentity, clock: FakeClock, visitor: Browser
    ) -> None:
        journeys.sign_in(visitor, ADA)
        clock.forward(minutes=30)
        identity.trouble = Trouble.REFUSED
        visitor.get("/cart")
        assert owners(store, "View My Cart") == [mpid_of(store, ADA)]

    def test_a_refused_modify_is_given_up(
        self, store: Store, identity: TroubledIdentity, visitor: Browser
    ) -> None:
        journeys.sign_up(visitor)
        identity.trouble = Trouble.REFUSED
        visitor.submit(visitor.get("/account/profile"), "save-profile", phone="+1 212 555 0100")
        assert store.rows("identity_intents")[-1]["state"] == "refused"
        assert journeys.identity_state(visitor.get("/about")) == "known"

    def test_a_new_account_takes_an_address_that_somebody_has_just_left(
        self, store: Store, identity: TroubledIdentity, visitor: Browser
    ) -> None:
        """In the shop it is free; the service has not heard of it yet."""
        journeys.sign_up(visitor, email="grace@example.com")
        grace = owners(store, "Welcome")[0]
        identity.trouble = Trouble.FAILED
        visitor.submit(visitor.get("/account/profile"), "save-profile", email="g@example.org")
        other = store.browser()
        other.get("/about")
        identity.trouble = Trouble.NONE
        journeys.sign_up(other, name="Other Grace", email="grace@example.com")
        catch_up(store)
        assert owners(store, "Welcome")[1] not in {None, grace}
        by_mpid = defaultdict(set)
        for row in store.rows("profile_identities"):
            by_mpid[row["mpid"]].add(row["identity_value"])
        assert "g@example.org" in by_mpid[grace]
        assert "grace@example.com" not in by_mpid[grace]


def test_nothing_is_attributed_twice(
    store: Store, identity: TroubledIdentity, visitor: Browser
) -> None:
    """Each event has exactly one message."""
    identity.trouble = Trouble.LOST_REPLY
    visitor.get("/about")
    journeys.sign_in(visitor, ADA)
    identity.trouble = Trouble.NONE
    catch_up(store)
    catch_up(store)
    event_ids = [row["id"] for row in store.rows("events")]
    assert sorted(row["event_id"] for row in store.rows("messages")) == event_ids
