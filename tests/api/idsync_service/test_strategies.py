"""The story that each strategy must tell, and the documentation's table of what happens when."""

from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from sqlalchemy import select

from higgs_shop.database import Database
from higgs_shop.identity_types import CUSTOMER_ID, EMAIL
from higgs_shop.tables import profiles
from tests.api.idsync_service.conftest import Calls, StoreWorkspace

IDFV: Final = {"ios_idfv": "9876"}
ROKU: Final = {"roku_aid": "8765"}
ED: Final = {"customerid": "ABC123", "email": "ed@example.test"}
HELENS: Final = {"email": "helen@example.test"}
HELEN: Final = {"customerid": "ABC123", **HELENS}
STAMP: Final = {"device_application_stamp": "s-1"}
NEWCOMER: Final = {"customerid": "C-9", **STAMP}
PRIORITY: Final = ("customerid", "email", "ios_idfv", "roku_aid")
WITH_LOGIN: Final = ("default", "profile_conversion", "profile_link", "profile_isolation")


@dataclass
class Names:
    """Calls profiles P1, P2, … in the order in which they were made."""

    mpids: list[str] = field(default_factory=list)

    def of(self, answer: dict[str, Any]) -> str:
        mpid = answer["mpid"]
        if mpid not in self.mpids:
            self.mpids.append(mpid)
        return f"P{self.mpids.index(mpid) + 1}"

    def mpid(self, name: str) -> str:
        return self.mpids[int(name[1:]) - 1]


@pytest.mark.parametrize(
    ("strategy", "signed_up", "logged_out", "helen", "on_roku"),
    [
        pytest.param("default", "P1", "P2", "P3", "P4", id="default"),
        pytest.param("profile_conversion", "P1", "P2", "P3", "P4", id="conversion"),
        pytest.param("profile_isolation", "P2", "P1", "P3", "P4", id="isolation"),
        pytest.param("profile_link", "P2", "P3", "P4", "P5", id="link"),
    ],
)
def test_the_story(
    store_workspace: StoreWorkspace,
    calls: Calls,
    record: Any,
    strategy: str,
    signed_up: str,
    logged_out: str,
    helen: str,
    on_roku: str,
) -> None:
    store_workspace(identity_strategy=strategy, identity_priority=PRIORITY)
    names = Names()
    # first launch
    assert names.of(calls.identify(IDFV)) == "P1"
    assert record(names.mpid("P1")) == {*IDFV.items()}
    # sign up and log in
    answer = calls.login({**ED, **IDFV}, names.mpid("P1"))
    assert (names.of(answer), answer["is_logged_in"]) == (signed_up, True)
    assert record(names.mpid(signed_up)) == {*ED.items(), *IDFV.items()}
    if signed_up != "P1":
        assert record(names.mpid("P1")) == {*IDFV.items()}
    # log out
    answer = calls.logout(IDFV, names.mpid(signed_up))
    assert (names.of(answer), answer["is_logged_in"]) == (logged_out, False)
    assert record(names.mpid(logged_out)) == {*IDFV.items()}
    # other channel
    assert names.of(calls.identify(HELENS)) == helen
    assert record(names.mpid(helen)) == {*HELENS.items()}
    # log in again
    answer = calls.login({**ED, **IDFV}, names.mpid(logged_out))
    assert names.of(answer) == signed_up
    # change e-mail
    changed = calls.modify(
        names.mpid(signed_up), "email", "ed@example.test", "helen@example.test"
    ).json()
    assert names.of(changed) == signed_up
    assert record(names.mpid(signed_up)) == {*HELEN.items(), *IDFV.items()}
    # Where an address is not unique, both keep it; where it is, the other is an orphan.
    kept = {*HELENS.items()} if strategy == "default" else set()
    assert record(names.mpid(helen)) == kept
    # new device
    assert names.of(calls.identify(ROKU)) == on_roku
    # log in there
    answer = calls.login({**HELEN, **ROKU}, names.mpid(on_roku))
    assert names.of(answer) == signed_up
    assert record(names.mpid(signed_up)) == {*HELEN.items(), *IDFV.items(), *ROKU.items()}


def test_the_story_of_best_match(
    store_workspace: StoreWorkspace, calls: Calls, record: Any
) -> None:
    store_workspace(
        identity_strategy="best_match", identity_priority=("email", "ios_idfv", "android_uuid")
    )
    names = Names()
    assert names.of(calls.identify(IDFV)) == "P1"
    answer = calls.identify({"email": "ed@example.test", **IDFV}, names.mpid("P1"))
    assert (names.of(answer), answer["is_logged_in"]) == ("P1", False)
    changed = calls.modify(
        names.mpid("P1"), "email", "ed@example.test", "helen@example.test"
    ).json()
    assert names.of(changed) == "P1"
    assert names.of(calls.identify({"email": "poole@example.test", **IDFV})) == "P1"
    assert record(names.mpid("P1")) == {
        *IDFV.items(),
        ("email", "helen@example.test"),
        ("email", "poole@example.test"),
    }
    android = {"android_uuid": "8765"}
    assert names.of(calls.identify(android)) == "P2"
    assert names.of(calls.identify({**android, "email": "poole@example.test"})) == "P1"
    assert {*android.items()} <= record(names.mpid("P1"))


@pytest.mark.parametrize("action", ["login", "logout"])
def test_best_match_offers_no_login_and_no_logout(
    store_workspace: StoreWorkspace, calls: Calls, action: str
) -> None:
    store_workspace(identity_strategy="best_match")
    response = calls.post(f"v1/{action}", {"known_identities": STAMP})
    assert response.status_code == 400
    assert response.json()["errors"][0]["message"] == (
        f"this workspace's strategy, best_match, has no {action}; use identify"
    )
    assert calls.search(STAMP).status_code == 404, "nothing was made"


@pytest.mark.parametrize("strategy", [*WITH_LOGIN, "best_match"])
class TestEveryStrategy:
    """Rows of the documentation's table that are the same for all."""

    def test_match_found_returns_it_and_adds_what_it_lacks(
        self, store_workspace: StoreWorkspace, calls: Calls, record: Any, strategy: str
    ) -> None:
        store_workspace(identity_strategy=strategy)
        found = calls.identify(STAMP)["mpid"]
        answer = calls.identify({**STAMP, "other": "a-handle"})
        assert (answer["mpid"], answer["matched_identities"]) == (found, STAMP)
        assert record(found) == {*STAMP.items(), ("other", "a-handle")}

    def test_no_match_device_only_is_a_new_anonymous_profile(
        self, store_workspace: StoreWorkspace, calls: Calls, strategy: str
    ) -> None:
        store_workspace(identity_strategy=strategy)
        first = calls.identify(STAMP)
        second = calls.identify({"device_application_stamp": "s-2"})
        assert first["mpid"] != second["mpid"]
        assert not first["is_logged_in"]
        assert not second["is_logged_in"]


@pytest.mark.parametrize(
    ("strategy", "is_kept"),
    [
        ("default", True),
        ("profile_conversion", True),
        ("profile_link", False),
        ("profile_isolation", False),
    ],
)
@pytest.mark.parametrize("action", ["identify", "login"])
def test_new_login_id_current_profile_anonymous(
    store_workspace: StoreWorkspace, calls: Calls, strategy: str, is_kept: bool, action: str
) -> None:
    store_workspace(identity_strategy=strategy)
    anonymous = calls.identify(STAMP)["mpid"]
    answer = calls.move(action, NEWCOMER, anonymous)
    assert answer["is_logged_in"]
    assert (answer["mpid"] == anonymous) is is_kept


@pytest.mark.parametrize("strategy", WITH_LOGIN)
def test_new_login_id_beside_a_known_person_is_somebody_new(
    store_workspace: StoreWorkspace, calls: Calls, record: Any, strategy: str
) -> None:
    store_workspace(identity_strategy=strategy)
    known = calls.login({"customerid": "C-1", **STAMP})["mpid"]
    newcomer = calls.login(NEWCOMER, known)["mpid"]
    assert newcomer != known
    assert record(known) == {("customerid", "C-1"), *STAMP.items()}


@pytest.mark.parametrize(
    ("strategy", "goes_back"),
    [
        ("default", False),
        ("profile_conversion", False),
        ("profile_link", False),
        ("profile_isolation", True),
    ],
)
def test_logout(
    store_workspace: StoreWorkspace, calls: Calls, strategy: str, goes_back: bool
) -> None:
    store_workspace(identity_strategy=strategy)
    anonymous = calls.identify(STAMP)["mpid"]
    known = calls.login(NEWCOMER, anonymous)["mpid"]
    after = calls.logout(STAMP, known)
    assert not after["is_logged_in"]
    assert after["mpid"] != known
    assert (after["mpid"] == anonymous) is goes_back
    again = calls.logout(STAMP, after["mpid"])["mpid"]
    assert (again == after["mpid"]) is goes_back


def test_isolation_makes_a_new_profile_at_logout_where_there_was_none(
    store_workspace: StoreWorkspace, calls: Calls
) -> None:
    store_workspace(identity_strategy="profile_isolation")
    known = calls.login(NEWCOMER)["mpid"]
    after = calls.logout(STAMP, known)
    assert after["mpid"] != known
    assert not after["is_logged_in"]


@pytest.mark.parametrize(
    ("strategy", "is_linked"), [("profile_link", True), ("profile_isolation", False)]
)
def test_a_linked_profile_remembers_its_source(
    database: Database,
    store_workspace: StoreWorkspace,
    calls: Calls,
    strategy: str,
    is_linked: bool,
) -> None:
    store_workspace(identity_strategy=strategy)
    anonymous = calls.identify(STAMP)["mpid"]
    known = calls.login(NEWCOMER, anonymous)["mpid"]
    beside = calls.login({"customerid": "C-10", **STAMP}, known)["mpid"]
    with database.read() as connection:
        rows = connection.execute(select(profiles.c.mpid, profiles.c.source_mpid))
        sources = {row.mpid: row.source_mpid for row in rows}
    assert sources == {
        int(anonymous): None,
        int(known): int(anonymous) if is_linked else None,
        int(beside): None,
    }


def test_a_strategy_that_is_changed_judges_by_what_is_there(
    store_workspace: StoreWorkspace, calls: Calls, record: Any, clock_ms: list[int]
) -> None:
    """docs/identity.md: nothing is rewritten; every call is judged by the settings of its moment."""
    store_workspace(identity_strategy="best_match")
    matched = calls.identify({"email": "ed@example.test", **STAMP})["mpid"]
    calls.identify({"email": "helen@example.test", **STAMP})
    assert len(record(matched)) == 3
    store_workspace(identity_strategy="profile_conversion")
    clock_ms[0] += 1_000  # for so long a changed setting may not be seen
    answer = calls.login({"email": "helen@example.test", **STAMP})
    assert (answer["mpid"], answer["is_logged_in"]) == (matched, True)
    assert record(matched) == {("email", "helen@example.test"), *STAMP.items()}
    assert calls.identify(STAMP)["mpid"] != matched, "known now, and not found by a device"


def test_default_takes_an_address_for_nobody_s_own(
    store_workspace: StoreWorkspace, calls: Calls
) -> None:
    workspace = store_workspace(identity_strategy="default")
    assert workspace.login_ids == workspace.unique_ids == (CUSTOMER_ID,)
    one = calls.identify({EMAIL: "shared@example.test"})
    assert not one["is_logged_in"]
