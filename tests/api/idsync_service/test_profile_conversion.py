"""The rules at the edges of profile conversion: two people on one device, records, orphans."""

from typing import Any

import pytest

from higgs_shop.identity_types import CUSTOMER_ID, EMAIL
from tests.api.idsync_service.conftest import Calls, StoreWorkspace

STAMP = {"device_application_stamp": "s-1"}


@pytest.mark.usefixtures("workspace")
class TestTwoPeopleOnOneDevice:
    """Nobody's browsing is ever somebody else's."""

    def test_each_logout_makes_a_profile_of_its_own(self, calls: Calls) -> None:
        first = calls.identify(STAMP)["mpid"]
        second = calls.logout(STAMP, first)["mpid"]
        third = calls.logout(STAMP, second)["mpid"]
        assert len({first, second, third}) == 3

    def test_the_current_anonymous_profile_is_kept_and_not_an_older_one(
        self, calls: Calls, clock_ms: list[int]
    ) -> None:
        first = calls.identify(STAMP)["mpid"]
        clock_ms[0] += 1
        second = calls.logout(STAMP, first)["mpid"]
        assert calls.identify(STAMP, first)["mpid"] == first
        assert calls.identify(STAMP, second)["mpid"] == second
        assert calls.login({"customerid": "C-2", **STAMP}, second)["mpid"] == second

    def test_without_a_current_profile_the_one_seen_last_is_found(
        self, calls: Calls, clock_ms: list[int]
    ) -> None:
        first = calls.identify(STAMP)["mpid"]
        clock_ms[0] += 1
        second = calls.logout(STAMP, first)["mpid"]
        assert calls.identify(STAMP)["mpid"] == second

    def test_a_second_customer_beside_a_known_one_is_new(self, calls: Calls) -> None:
        first = calls.login({"customerid": "C-1", **STAMP})["mpid"]
        between = calls.logout(STAMP, first)["mpid"]
        assert calls.login({"customerid": "C-1", **STAMP}, between)["mpid"] == first
        second = calls.login({"customerid": "C-2", **STAMP}, first)["mpid"]
        assert second not in {first, between}

    def test_a_current_anonymous_profile_is_converted_without_a_device(self, calls: Calls) -> None:
        anonymous = calls.identify({"other": "a-handle"})["mpid"]
        answer = calls.login({"customerid": "C-1"}, anonymous)
        assert (answer["mpid"], answer["is_logged_in"]) == (anonymous, True)
        assert answer["matched_identities"] == {}

    def test_the_known_owner_of_an_unsaid_address_stays_as_they_are(
        self, calls: Calls, record: Any
    ) -> None:
        owner = calls.login({"customerid": "C-1", "email": "a@example.test"})["mpid"]
        newcomer = calls.login({"customerid": "C-2", "email": "a@example.test"})["mpid"]
        assert newcomer != owner
        assert record(newcomer) == {("customerid", "C-2"), ("email", "a@example.test")}
        assert record(owner) == {("customerid", "C-1")}

    def test_a_logout_that_names_somebody_known_moves_to_them(self, calls: Calls) -> None:
        one = calls.login({"customerid": "C-1", **STAMP})["mpid"]
        two = calls.login({"customerid": "C-2"}, one)["mpid"]
        answer = calls.logout({"customerid": "C-1", **STAMP}, two)
        assert (answer["mpid"], answer["is_logged_in"]) == (one, True)


@pytest.mark.usefixtures("workspace")
class TestIdentityRecords:
    """What stands on a profile afterwards."""

    def test_the_request_replaces_an_old_login_id(self, calls: Calls, record: Any) -> None:
        mpid = calls.login({"customerid": "C-1", "email": "old@example.test"})["mpid"]
        calls.login({"customerid": "C-1", "email": "new@example.test"})
        assert record(mpid) == {("customerid", "C-1"), ("email", "new@example.test")}

    def test_devices_join(self, calls: Calls, record: Any) -> None:
        mpid = calls.login({"customerid": "C-1", **STAMP})["mpid"]
        calls.login({"customerid": "C-1", "device_application_stamp": "s-2"})
        assert ("device_application_stamp", "s-1") in record(mpid)
        assert ("device_application_stamp", "s-2") in record(mpid)

    def test_a_device_may_stand_on_several_profiles(self, calls: Calls, record: Any) -> None:
        one = calls.login({"customerid": "C-1", **STAMP})["mpid"]
        two = calls.identify(STAMP)["mpid"]
        assert ("device_application_stamp", "s-1") in record(one) & record(two)

    def test_an_orphan_never_comes_back(self, calls: Calls) -> None:
        orphan = calls.login({"email": "a@example.test"})["mpid"]
        owner = calls.login({"customerid": "C-1"})["mpid"]
        assert calls.modify(owner, "email", None, "a@example.test").status_code == 200
        assert calls.login({"customerid": "C-2"}, orphan)["mpid"] != orphan
        assert calls.modify(orphan, "email", None, "b@example.test").status_code == 400

    def test_a_stale_old_value_does_not_stop_a_change(self, calls: Calls, record: Any) -> None:
        mpid = calls.login({"customerid": "C-1", "email": "a@example.test"})["mpid"]
        calls.modify(mpid, "email", "stale@example.test", "b@example.test")
        assert record(mpid) == {("customerid", "C-1"), ("email", "b@example.test")}
        calls.modify(mpid, "email", None, None)
        assert record(mpid) == {("customerid", "C-1")}

    def test_a_device_goes_only_by_its_own_value(self, calls: Calls, record: Any) -> None:
        mpid = calls.login({"customerid": "C-1", **STAMP})["mpid"]
        calls.modify(mpid, "device_application_stamp", "another", None)
        assert ("device_application_stamp", "s-1") in record(mpid)
        calls.modify(mpid, "device_application_stamp", "s-1", "s-3")
        assert record(mpid) == {("customerid", "C-1"), ("device_application_stamp", "s-3")}

    def test_search_changes_nothing(self, calls: Calls, record: Any) -> None:
        mpid = calls.login({"customerid": "C-1"})["mpid"]
        answer = calls.search({"customerid": "C-1", "mobile_number": "+1 555 0100"})
        assert answer.json()["matched_identities"] == {"customerid": "C-1"}
        assert record(mpid) == {("customerid", "C-1")}
        missing = calls.search({"mobile_number": "+1 555 0100"})
        assert missing.status_code == 404
        assert missing.json()["errors"][0]["code"] == "NOT_FOUND_ERROR"

    def test_modify_never_makes_a_profile(self, calls: Calls) -> None:
        response = calls.modify("4711", "email", None, "a@example.test")
        assert response.status_code == 400
        assert "4711" in response.json()["errors"][0]["message"]


def test_a_searched_address_does_not_find_a_customer_whose_login_id_it_is_not(
    store_workspace: StoreWorkspace, calls: Calls
) -> None:
    store_workspace(login_ids=(CUSTOMER_ID,), unique_ids=(CUSTOMER_ID,))
    calls.login({"customerid": "C-1", "email": "a@example.test"})
    assert calls.search({"email": "a@example.test"}).status_code == 404


def test_an_immutable_identity_stays(store_workspace: StoreWorkspace, calls: Calls) -> None:
    store_workspace(immutable_ids=(CUSTOMER_ID,))
    mpid = calls.login({"customerid": "C-1", "email": "a@example.test"})["mpid"]
    other = calls.login({"customerid": "C-2"})["mpid"]
    assert calls.search({"email": "a@example.test"}).status_code == 404
    for new_value in ("C-3", None):
        assert calls.modify(mpid, "customerid", "C-1", new_value).status_code == 400
    assert calls.modify(other, "email", None, "a@example.test").status_code == 200
    assert calls.modify(mpid, "customerid", "C-1", "C-1").status_code == 200
    assert calls.search({"customerid": "C-1"}).json()["mpid"] == mpid


def test_workspaces_do_not_know_each_other(store_workspace: StoreWorkspace, calls: Calls) -> None:
    store_workspace()
    store_workspace(workspace_id="another", api_key="another-key")
    mpid = calls.login({"customerid": "C-1"})["mpid"]
    asked = {"environment": "development", "known_identities": {"customerid": "C-1"}}
    response = calls.http.post("v1/search", json=asked, headers={"x-mp-key": "another-key"})
    assert response.status_code == 404
    assert calls.search({"customerid": "C-1"}).json()["mpid"] == mpid


def test_a_device_alone_does_not_return_a_known_profile(
    store_workspace: StoreWorkspace, calls: Calls, record: Any
) -> None:
    """The worked example of step 3: login type e-mail."""
    store_workspace(login_ids=(EMAIL,), unique_ids=(EMAIL,))
    a = calls.identify({"email": "e@x", "ios_idfv": "1234"})["mpid"]
    answer = calls.identify({"ios_idfv": "1234"})
    assert answer["mpid"] != a
    assert answer["is_logged_in"] is False
    assert ("ios_idfv", "1234") in record(a) & record(answer["mpid"])
