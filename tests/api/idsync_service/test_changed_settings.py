"""A workspace's strategy and ID sets change while it has profiles: what docs/identity.md says of it."""

from collections.abc import Callable
from typing import Any

import pytest

from higgs_shop.database import Database
from higgs_shop.tables import metadata
from tests.api.idsync_service.conftest import Calls, StoreWorkspace

STAMP = {"device_application_stamp": "s-1"}
ED = {"email": "ed@example.test"}
HELEN = {"email": "helen@example.test"}
SHARED = ("email", "shared@example.test")

Change = Callable[..., None]


@pytest.fixture
def change(store_workspace: StoreWorkspace, clock_ms: list[int]) -> Change:
    """Gives the workspace other settings, and waits until they are seen."""

    def store(**settings: Any) -> None:
        store_workspace(**settings)
        clock_ms[0] += 1_000

    return store


def kept(database: Database) -> dict[str, Any]:
    """Everything in the database but the workspace's settings."""
    with database.read() as connection:
        return {
            name: connection.execute(table.select()).all()
            for name, table in metadata.tables.items()
            if name != "workspaces"
        }


@pytest.mark.parametrize(
    "strategy", ["default", "profile_conversion", "profile_link", "profile_isolation", "best_match"]
)
def test_nothing_is_rewritten(
    change: Change, calls: Calls, database: Database, strategy: str
) -> None:
    change(identity_strategy="profile_link")
    anonymous = calls.identify(STAMP)["mpid"]
    calls.login({"customerid": "C-1", **ED, **STAMP}, anonymous)
    before = kept(database)
    change(identity_strategy=strategy)
    assert kept(database) == before


def test_a_changed_setting_is_seen_within_a_second(
    store_workspace: StoreWorkspace, calls: Calls, clock_ms: list[int]
) -> None:
    store_workspace(identity_strategy="profile_conversion")
    calls.identify(STAMP)
    store_workspace(identity_strategy="best_match")
    clock_ms[0] += 999
    assert calls.post("v1/login", {"known_identities": STAMP}).status_code == 200
    clock_ms[0] += 1
    assert calls.post("v1/login", {"known_identities": STAMP}).status_code == 400


class TestWhoIsKnown:
    """Judged by the login IDs of now."""

    def test_a_profile_becomes_known_when_what_it_has_becomes_a_login_id(
        self, change: Change, calls: Calls
    ) -> None:
        change(login_ids=("customerid",))
        one = calls.identify({**ED, **STAMP})
        assert not one["is_logged_in"]
        assert calls.identify(STAMP)["mpid"] == one["mpid"]
        change(login_ids=("customerid", "email"))
        assert calls.identify(STAMP)["mpid"] != one["mpid"], "protected now"
        again = calls.identify(ED)
        assert (again["mpid"], again["is_logged_in"]) == (one["mpid"], True)

    def test_a_profile_becomes_anonymous_when_its_last_login_id_is_none_any_more(
        self, change: Change, calls: Calls
    ) -> None:
        change(login_ids=("customerid", "email"))
        one = calls.login({**ED, **STAMP})
        assert one["is_logged_in"]
        change(login_ids=("customerid",))
        found = calls.identify(STAMP)
        assert (found["mpid"], found["is_logged_in"]) == (one["mpid"], False)

    def test_somebody_anonymous_by_now_is_converted_at_the_next_sign_up(
        self, change: Change, calls: Calls
    ) -> None:
        """Two people may become one: whoever signs up at Ed's device is taken for Ed."""
        change(login_ids=("customerid", "email"))
        ed = calls.login({**ED, **STAMP})["mpid"]
        change(login_ids=("customerid",))
        assert calls.login({"customerid": "C-9", **STAMP})["mpid"] == ed

    def test_best_match_knows_nobody_and_finds_everybody(
        self, change: Change, calls: Calls
    ) -> None:
        change(identity_strategy="profile_conversion")
        known = calls.login({"customerid": "C-1", **STAMP})["mpid"]
        change(identity_strategy="best_match")
        found = calls.identify(STAMP)
        assert (found["mpid"], found["is_logged_in"]) == (known, False)
        change(identity_strategy="profile_conversion")
        assert calls.identify(STAMP)["mpid"] != known, "known and protected as before"


class TestUniqueValues:
    """Values that several profiles share by now."""

    @pytest.fixture
    def shared(self, change: Change, calls: Calls) -> tuple[str, str]:
        """Two profiles with one address, which has just become unique."""
        change(login_ids=("customerid",), unique_ids=("customerid",))
        first = calls.identify({"customerid": "C-1", **dict([SHARED])})["mpid"]
        second = calls.identify({"customerid": "C-2", **dict([SHARED])})["mpid"]
        change(login_ids=("customerid",), unique_ids=("customerid", "email"))
        return first, second

    def test_they_stay_on_all_of_them(self, shared: tuple[str, str], record: Any) -> None:
        for mpid in shared:
            assert SHARED in record(mpid)

    def test_giving_the_value_to_somebody_who_has_it_takes_it_from_nobody(
        self, shared: tuple[str, str], calls: Calls, record: Any
    ) -> None:
        first, second = shared
        assert calls.identify({"customerid": "C-1", **dict([SHARED])})["mpid"] == first
        assert SHARED in record(first)
        assert SHARED in record(second)

    def test_whoever_newly_gets_the_value_takes_it_from_all_others(
        self, shared: tuple[str, str], calls: Calls, record: Any
    ) -> None:
        third = calls.identify({"customerid": "C-3", **dict([SHARED])})["mpid"]
        assert SHARED in record(third)
        for mpid in shared:
            assert SHARED not in record(mpid)

    def test_a_value_is_shared_again_when_its_type_is_not_unique_any_more(
        self, change: Change, calls: Calls, record: Any
    ) -> None:
        change(unique_ids=("customerid", "email"))
        first = calls.identify({"customerid": "C-1", **dict([SHARED])})["mpid"]
        change(unique_ids=("customerid",))
        second = calls.identify({"customerid": "C-2", **dict([SHARED])})["mpid"]
        assert first != second
        assert SHARED in record(first)
        assert SHARED in record(second)


class TestSeveralValues:
    """What best_match has gathered, under a strategy where a person has one value of a type."""

    @pytest.fixture
    def gathered(self, change: Change, calls: Calls) -> str:
        """A profile with two addresses."""
        change(identity_strategy="best_match")
        one = calls.identify({**ED, **STAMP})["mpid"]
        assert calls.identify({**HELEN, **STAMP})["mpid"] == one
        change(identity_strategy="profile_conversion")
        return str(one)

    @pytest.mark.parametrize("identities", [ED, HELEN], ids=["one", "the-other"])
    def test_each_finds_the_profile_and_then_it_is_the_only_one(
        self, gathered: str, calls: Calls, record: Any, identities: dict[str, str]
    ) -> None:
        answer = calls.login({**identities, **STAMP})
        assert (answer["mpid"], answer["is_logged_in"]) == (gathered, True)
        assert record(gathered) == {*identities.items(), *STAMP.items()}

    def test_a_modify_replaces_them_all(self, gathered: str, calls: Calls, record: Any) -> None:
        calls.modify(gathered, "email", "ed@example.test", "new@example.test")
        assert record(gathered) == {("email", "new@example.test"), *STAMP.items()}

    def test_they_stay_while_nobody_gives_one(
        self, gathered: str, calls: Calls, record: Any
    ) -> None:
        calls.identify(STAMP)
        calls.search(ED)
        assert {*ED.items(), *HELEN.items()} <= record(gathered)


class TestImmutableValues:
    """What is there when a type becomes immutable stays as it is, and is asked for."""

    def test_what_is_there_is_frozen_and_what_is_missing_may_be_added(
        self, change: Change, calls: Calls
    ) -> None:
        one = calls_mpid(change, calls)
        change(immutable_ids=("customerid",))
        assert calls.modify(one, "customerid", "C-1", "C-2").status_code == 400
        assert calls.modify(one, "customerid", "C-1", None).status_code == 400
        assert calls.search(ED).status_code == 404, "the customerid was not given"
        other = calls.identify({"email": "new@example.test"})["mpid"]
        assert calls.modify(other, "customerid", None, "C-3").status_code == 200

    def test_it_moves_again_when_the_type_is_not_immutable_any_more(
        self, change: Change, calls: Calls
    ) -> None:
        one = calls_mpid(change, calls, immutable_ids=("customerid",))
        assert calls.modify(one, "customerid", "C-1", "C-2").status_code == 400
        change()
        assert calls.modify(one, "customerid", "C-1", "C-2").status_code == 200


def calls_mpid(change: Change, calls: Calls, **settings: Any) -> str:
    """Somebody known by customer id and address, made under these settings."""
    change(**settings)
    return str(calls.login({"customerid": "C-1", **ED})["mpid"])


def test_an_orphan_stays_one(change: Change, calls: Calls, record: Any) -> None:
    change(identity_strategy="profile_conversion")
    orphan = calls.identify(HELEN)["mpid"]
    calls.identify({"customerid": "C-1", **ED})
    calls.modify(calls.identify(ED)["mpid"], "email", "ed@example.test", "helen@example.test")
    assert record(orphan) == set()
    for strategy in ("default", "best_match", "profile_link"):
        change(identity_strategy=strategy)
        assert calls.identify(HELEN)["mpid"] != orphan
        assert calls.modify(orphan, "email", None, "x@example.test").status_code == 400


def test_login_and_logout_are_refused_as_soon_as_there_are_none(
    change: Change, calls: Calls
) -> None:
    change(identity_strategy="profile_conversion")
    known = calls.login({"customerid": "C-1", **STAMP})
    assert known["is_logged_in"]
    change(identity_strategy="best_match")
    for action in ("login", "logout"):
        refused = calls.post(f"v1/{action}", {"known_identities": STAMP})
        assert refused.status_code == 400
        assert "best_match has no" in refused.text or f"has no {action}" in refused.text


def test_a_call_that_is_sent_again_is_answered_as_before(change: Change, calls: Calls) -> None:
    change(identity_strategy="profile_conversion")
    body = {"known_identities": {**ED, **STAMP}, "request_id": "r-1"}
    first = calls.post("v1/login", body).json()
    change(login_ids=("customerid",), unique_ids=("customerid",))
    assert calls.post("v1/login", body).json() == first
    change(identity_strategy="best_match")
    assert calls.post("v1/login", body).status_code == 400


def test_isolation_goes_back_to_what_another_strategy_made(change: Change, calls: Calls) -> None:
    """Under conversion each logout made a profile; now the device's last one is gone back to."""
    change(identity_strategy="profile_conversion")
    known = calls.login({"customerid": "C-1", **STAMP})["mpid"]
    left = calls.logout(STAMP, known)["mpid"]
    change(identity_strategy="profile_isolation")
    calls.login({"customerid": "C-1", **STAMP}, left)
    assert calls.logout(STAMP, known)["mpid"] == left


def test_a_source_stays_and_no_more_are_noted(
    change: Change, calls: Calls, database: Database
) -> None:
    change(identity_strategy="profile_link")
    anonymous = calls.identify(STAMP)["mpid"]
    linked = calls.login({"customerid": "C-1", **STAMP}, anonymous)["mpid"]
    change(identity_strategy="profile_isolation")
    isolated = calls.login({"customerid": "C-2", **STAMP}, anonymous)["mpid"]
    with database.read() as connection:
        rows = connection.execute(metadata.tables["profiles"].select())
        sources = {row.mpid: row.source_mpid for row in rows}
    assert sources[int(linked)] == int(anonymous)
    assert sources[int(isolated)] is None


def test_another_priority_decides_from_the_next_call_on(change: Change, calls: Calls) -> None:
    change(login_ids=("customerid",), identity_priority=("other", "facebook"))
    by_other = calls.identify({"other": "o"})["mpid"]
    by_facebook = calls.identify({"facebook": "f"})["mpid"]
    assert calls.search({"other": "o", "facebook": "f"}).json()["mpid"] == by_other
    change(login_ids=("customerid",), identity_priority=("facebook", "other"))
    assert calls.search({"other": "o", "facebook": "f"}).json()["mpid"] == by_facebook
