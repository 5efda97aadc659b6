"""The documented visit (wire contract, section 12.5), within the process and over TCP."""

import httpx
import pytest

from tests.api.idsync_service.conftest import Calls

S1 = {"device_application_stamp": "6b1d3a52-1111-4d6c-9c52-000000000001"}
S2 = {"device_application_stamp": "6b1d3a52-2222-4d6c-9c52-000000000002"}
CUSTOMER = {"customerid": "C-1001"}
ADA = "ada@example.test"
ADA2 = "ada2@example.test"


@pytest.fixture(params=["in_process", "over_tcp"])
def calls(request: pytest.FixtureRequest) -> Calls:
    name = "tcp_calls" if request.param == "over_tcp" else "in_process_calls"
    found: Calls = request.getfixturevalue(name)
    return found


@pytest.mark.usefixtures("workspace")
class TestVisit:
    """Rows 1 to 17; each test begins where the rows before it led."""

    def test_row_1_a_new_device_gets_an_anonymous_profile(self, calls: Calls) -> None:
        answer = calls.identify(S1)
        assert answer["is_logged_in"] is False
        assert answer["matched_identities"] == {}
        assert isinstance(answer["mpid"], str)
        assert 0 < int(answer["mpid"]) < 2**53
        assert answer["context"] is None
        assert answer["is_ephemeral"] is False

    def test_row_2_the_same_device_finds_it_again(self, calls: Calls) -> None:
        a = calls.identify(S1)["mpid"]
        answer = calls.identify(S1, a)
        assert (answer["mpid"], answer["is_logged_in"]) == (a, False)
        assert answer["matched_identities"] == S1

    def test_row_3_a_new_customer_keeps_the_mpid(self, calls: Calls) -> None:
        a = calls.identify(S1)["mpid"]
        answer = calls.login({**CUSTOMER, "email": ADA, **S1}, a)
        assert (answer["mpid"], answer["is_logged_in"]) == (a, True)
        assert answer["matched_identities"] == S1

    def test_row_4_the_device_alone_does_not_find_the_customer(self, calls: Calls) -> None:
        a = _signed_up(calls)
        answer = calls.identify(S1)
        assert answer["mpid"] != a
        assert answer["is_logged_in"] is False

    def test_row_5_logout_gives_somebody_anonymous(self, calls: Calls) -> None:
        a = _signed_up(calls)
        answer = calls.logout(S1, a)
        assert answer["mpid"] != a
        assert answer["is_logged_in"] is False

    def test_row_6_the_customer_id_finds_the_customer(self, calls: Calls) -> None:
        a = _signed_up(calls)
        b = calls.logout(S1, a)["mpid"]
        answer = calls.login({**CUSTOMER, **S1}, b)
        assert (answer["mpid"], answer["is_logged_in"]) == (a, True)
        assert answer["matched_identities"]["customerid"] == "C-1001"

    def test_rows_7_and_8_the_customer_comes_from_a_second_device(self, calls: Calls) -> None:
        a = _signed_up(calls)
        c = calls.identify(S2)
        assert c["mpid"] != a
        assert c["is_logged_in"] is False
        answer = calls.login({**CUSTOMER, **S2}, c["mpid"])
        assert (answer["mpid"], answer["is_logged_in"]) == (a, True)

    def test_rows_9_to_14_the_address_changes_and_goes(self, calls: Calls) -> None:
        a = _signed_up(calls)
        changed = calls.modify(a, "email", ADA, ADA2)
        assert changed.status_code == 200
        assert changed.json()["mpid"] == a
        assert changed.json()["is_logged_in"] is True
        assert changed.json()["change_results"] == [{"identity_type": "email", "modified_mpid": a}]
        assert calls.search({"email": ADA2}).json()["mpid"] == a
        assert calls.search({"email": ADA}).status_code == 404
        removed = calls.modify(a, "email", ADA2, None)
        assert (removed.status_code, removed.json()["mpid"]) == (200, a)
        assert calls.search({"email": ADA2}).status_code == 404
        assert calls.search(CUSTOMER).json()["mpid"] == a

    def test_row_15_a_request_without_identities_is_refused(self, calls: Calls) -> None:
        assert calls.post("v1/identify", {"known_identities": {}}).status_code == 400

    def test_row_16_an_unknown_identity_type_is_refused(self, calls: Calls) -> None:
        response = calls.post("v1/identify", {"known_identities": {"shoe_size": "9"}})
        assert response.status_code == 400

    def test_row_17_an_unknown_key_is_refused_readably(self, calls: Calls) -> None:
        response = calls.http.post("v1/identify", headers={"x-mp-key": "somebody's"})
        assert response.status_code == 401
        assert response.headers["Access-Control-Allow-Origin"] == "*"

    def test_answers_are_json_whatever_is_accepted(self, calls: Calls) -> None:
        response = calls.http.post(
            "v1/identify",
            json={"environment": "development", "known_identities": S1},
            headers={"x-mp-key": "shop-key-0001", "Accept": "text/plain;charset=UTF-8"},
        )
        assert response.headers["Content-Type"] == "application/json"


@pytest.mark.usefixtures("workspace")
def test_the_path_is_signed_as_it_was_sent(calls: Calls) -> None:
    """Section 12.2, over both transports: the body, date and signature of the example."""
    body = (
        b'{"client_sdk":{"platform":"web","sdk_vendor":"higgs","sdk_version":"1.0.0"},'
        b'"environment":"development","request_id":"0b7f3d64-1f0a-4c2a-9d55-2f3c8a5f1e10",'
        b'"request_timestamp_ms":1772360100000,'
        b'"known_identities":{"customerid":"C-1001","email":"ada@example.test"}}'
    )
    assert len(body) == 263
    headers = {
        "x-mp-key": "shop-key-0001",
        "Date": "20260301T101500Z",
        "x-mp-signature": "c6c5cee3b7ccada584c5c1107ba04fca13f68ef5158c55e740b43ed7970aaffb",
    }
    response: httpx.Response = calls.http.post("v1/identify", content=body, headers=headers)
    assert response.status_code == 200


def _signed_up(calls: Calls) -> str:
    a: str = calls.identify(S1)["mpid"]
    assert calls.login({**CUSTOMER, "email": ADA, **S1}, a)["mpid"] == a
    return a
