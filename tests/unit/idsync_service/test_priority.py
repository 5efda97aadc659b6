"""The walk down the identity priority, on plain profiles."""

import pytest

from higgs_shop.identity_types import CUSTOMER_ID, DEFAULT_PRIORITY, EMAIL
from higgs_shop.idsync_service.priority import Find, lookup_order, walk
from higgs_shop.idsync_service.profiles import Profile
from higgs_shop.workspaces import Workspace


def workspace(
    *priority: str,
    login_ids: tuple[str, ...] = (CUSTOMER_ID, EMAIL),
    immutable_ids: tuple[str, ...] = (),
) -> Workspace:
    return Workspace(
        id="default",
        api_key="key",
        api_secret="secret",
        identity_strategy="profile_conversion",
        identity_priority=priority or DEFAULT_PRIORITY,
        login_ids=login_ids,
        unique_ids=(CUSTOMER_ID,),
        immutable_ids=immutable_ids,
    )


def profile(mpid: int, last_seen_ms: int = 0, **identities: str) -> Profile:
    return Profile(mpid, last_seen_ms, {name: {value: 0} for name, value in identities.items()})


def rules(find: Find) -> list[str]:
    return [step.rule for step in find.steps]


class TestLookupOrder:
    """Which type comes first."""

    def test_the_priority_decides(self) -> None:
        assert lookup_order(["email", "customerid"], DEFAULT_PRIORITY) == ["customerid", "email"]

    def test_types_it_leaves_out_come_last_as_they_were_sent(self) -> None:
        asked = ["push_token", "other9", "email"]
        assert lookup_order(asked, DEFAULT_PRIORITY) == ["email", "push_token", "other9"]


class TestTies:
    """Several profiles carry what was asked for."""

    A = profile(1, email="j@x", other="AAAA", ios_idfv="1234")
    B = profile(2, email="j@x", android_aaid="2345", other="BBBB")

    @pytest.mark.parametrize(
        ("priority", "identities", "expected"),
        [
            pytest.param(
                ("customerid", "email", "other", "ios_idfv", "android_aaid"),
                {"email": "j@x", "other": "AAAA", "ios_idfv": "2345"},
                A,
                id="other_breaks_the_tie",
            ),
            pytest.param(
                ("customerid", "email", "ios_idfv", "android_aaid"),
                {"email": "j@x", "android_aaid": "2345"},
                B,
                id="the_device_breaks_the_tie",
            ),
        ],
    )
    def test_the_worked_example(
        self, priority: tuple[str, ...], identities: dict[str, str], expected: Profile
    ) -> None:
        settings = workspace(*priority, login_ids=(CUSTOMER_ID,))
        find = walk(identities, [self.A, self.B], settings, None)
        assert find.profile is expected
        assert find.decided_by == "email"
        assert rules(find) == ["looked_up", "tie_broken"]

    def test_a_later_type_breaks_ties_and_brings_nobody_in(self) -> None:
        outsider = profile(3, ios_idfv="1234")
        settings = workspace("other", "ios_idfv", login_ids=(CUSTOMER_ID,))
        found = walk({"other": "BBBB", "ios_idfv": "1234"}, [self.A, self.B, outsider], settings, 3)
        assert found.profile is self.B

    def test_a_later_type_that_matches_nobody_is_skipped(self) -> None:
        settings = workspace("email", "other", login_ids=(CUSTOMER_ID,))
        find = walk({"email": "j@x", "other": "CCCC"}, [self.A, self.B], settings, 2)
        assert find.profile is self.B
        assert rules(find) == ["looked_up", "previous_mpid_preferred"]

    def test_the_current_profile_wins(self) -> None:
        seen = [profile(1, 5, other="x"), profile(2, 9, other="x")]
        find = walk({"other": "x"}, seen, workspace(), 1)
        assert find.profile is seen[0]
        assert rules(find)[-1] == "previous_mpid_preferred"

    def test_then_the_one_seen_last(self) -> None:
        seen = [profile(1, 5, other="x"), profile(2, 9, other="x")]
        find = walk({"other": "x"}, seen, workspace(), None)
        assert find.profile is seen[1]
        assert rules(find)[-1] == "most_recently_seen_preferred"

    @pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
    def test_then_the_smallest_mpid_whatever_the_order(self, order: tuple[int, ...]) -> None:
        seen = [profile(-5, 9, other="x"), profile(2, 9, other="x"), profile(3, 9, other="x")]
        find = walk({"other": "x"}, [seen[number] for number in order], workspace(), None)
        assert find.profile is seen[0]
        assert rules(find)[-1] == "smallest_mpid_preferred"


class TestProtection:
    """Profiles that carry what was asked for, and may not be returned."""

    KNOWN = profile(1, customerid="C-1", email="a@x", ios_idfv="1234")

    def test_a_device_does_not_return_a_known_profile(self) -> None:
        find = walk({"ios_idfv": "1234"}, [self.KNOWN], workspace(), 1)
        assert find.profile is None
        assert find.decided_by is None
        assert rules(find) == ["looked_up", "login_id_protected"]
        assert find.steps[1].profiles == [self.KNOWN]

    def test_an_anonymous_profile_beside_it_is_returned(self) -> None:
        anonymous = profile(2, ios_idfv="1234")
        find = walk({"ios_idfv": "1234"}, [self.KNOWN, anonymous], workspace(), 1)
        assert find.profile is anonymous

    def test_one_login_id_is_enough(self) -> None:
        find = walk({"email": "a@x", "ios_idfv": "1234"}, [self.KNOWN], workspace(), None)
        assert find.profile is self.KNOWN

    def test_another_customer_id_with_their_address_is_somebody_else(self) -> None:
        asked = {"customerid": "C-2", "email": "a@x", "ios_idfv": "1234"}
        find = walk(asked, [self.KNOWN], workspace(), None)
        assert find.profile is None
        assert rules(find).count("different_login_id") == 2

    def test_another_address_with_their_customer_id_is_them(self) -> None:
        find = walk({"customerid": "C-1", "email": "b@x"}, [self.KNOWN], workspace(), None)
        assert find.profile is self.KNOWN

    def test_an_immutable_id_must_be_given(self) -> None:
        settings = workspace(immutable_ids=(CUSTOMER_ID,))
        find = walk({"email": "a@x"}, [self.KNOWN], settings, None)
        assert find.profile is None
        assert "immutable_id_protected" in rules(find)

    def test_an_immutable_id_outweighs_a_login_id_above_it(self) -> None:
        settings = workspace(EMAIL, CUSTOMER_ID, immutable_ids=(CUSTOMER_ID,))
        find = walk({"email": "b@x", "customerid": "C-1"}, [self.KNOWN], settings, None)
        assert find.profile is self.KNOWN
