"""What a call writes onto profiles."""

import dataclasses

import pytest

from higgs_shop.identity_types import CUSTOMER_ID, DEFAULT_PRIORITY, EMAIL
from higgs_shop.idsync_service.changes import Changes, holds_one_value
from higgs_shop.idsync_service.errors import ImmutableIdentity
from higgs_shop.idsync_service.profiles import Profile
from higgs_shop.workspaces import Workspace

WORKSPACE = Workspace(
    id="default",
    api_key="key",
    api_secret="secret",
    identity_strategy="profile_conversion",
    identity_priority=DEFAULT_PRIORITY,
    login_ids=(CUSTOMER_ID, EMAIL),
    unique_ids=(CUSTOMER_ID, EMAIL),
    immutable_ids=(),
)
IMMUTABLE = dataclasses.replace(WORKSPACE, immutable_ids=(CUSTOMER_ID,))
NOTHING_UNIQUE = dataclasses.replace(WORKSPACE, login_ids=(), unique_ids=())

NOW_MS = 1_772_360_100_000


def profile(mpid: int, **identities: str) -> Profile:
    return Profile(mpid, 0, {name: {value: 0} for name, value in identities.items()})


def rules(changes: Changes) -> list[str]:
    return [step.rule for step in changes.steps]


def test_a_unique_value_is_taken_and_leaves_an_orphan() -> None:
    loser = profile(2, email="a@x")
    changes = Changes(profile(1, customerid="C-1"), [loser], WORKSPACE, NOW_MS)
    changes.put("email", "a@x")
    assert changes.difference().removed == [(2, "email", "a@x")]
    assert changes.difference().added == [(1, "email", "a@x")]
    assert rules(changes) == ["unique_identity_taken", "orphaned", "identity_added"]
    assert loser.is_orphan


def test_a_value_that_is_not_unique_stays_with_both() -> None:
    changes = Changes(profile(1), [profile(2, mobile_number="5")], WORKSPACE, NOW_MS)
    changes.put("mobile_number", "5")
    assert changes.difference().removed == []
    assert changes.difference().added == [(1, "mobile_number", "5")]


def test_a_login_id_is_replaced() -> None:
    changes = Changes(profile(1, email="a@x"), [], WORKSPACE, NOW_MS)
    changes.put("email", "b@x")
    assert changes.difference().removed == [(1, "email", "a@x")]
    assert changes.difference().added == [(1, "email", "b@x")]
    assert rules(changes) == ["identity_replaced"]


def test_there_and_back_is_no_change() -> None:
    changes = Changes(profile(1, email="a@x"), [], WORKSPACE, NOW_MS)
    changes.put("email", "b@x")
    changes.put("email", "a@x")
    assert (changes.difference().removed, changes.difference().added) == ([], [])


def test_what_is_there_already_is_no_step() -> None:
    changes = Changes(profile(1, email="a@x"), [], WORKSPACE, NOW_MS)
    changes.put("email", "a@x")
    changes.remove("other", None)
    assert changes.steps == []
    assert not changes.has_changed


@pytest.mark.parametrize("new_value", ["b@x", None], ids=["replaced", "removed"])
def test_an_old_value_that_was_not_there_is_ignored_and_said(new_value: str | None) -> None:
    changes = Changes(profile(1, email="a@x", customerid="C-1"), [], WORKSPACE, NOW_MS)
    if new_value is None:
        changes.remove("email", "wrong@x")
    else:
        changes.put("email", new_value, instead_of="wrong@x")
    ignored, done = changes.steps
    assert ignored.rule == "old_value_ignored"
    assert "wrong@x" in ignored.text
    assert done.rule in {"identity_replaced", "identity_removed"}
    assert changes.has_changed


def test_the_last_identity_removed_leaves_an_orphan() -> None:
    changes = Changes(profile(1, email="a@x"), [], WORKSPACE, NOW_MS)
    changes.remove("email", None)
    changes.finish()
    assert rules(changes) == ["identity_removed", "orphaned"]


def test_removed_and_given_anew_in_one_call_is_no_orphan() -> None:
    changes = Changes(profile(1, email="a@x"), [], WORKSPACE, NOW_MS)
    changes.remove("email", "a@x")
    changes.put("other", "handle")
    changes.finish()
    assert rules(changes) == ["identity_removed", "identity_added"]


def test_where_nothing_is_unique_values_join() -> None:
    changes = Changes(profile(1, email="ed@x"), [], NOTHING_UNIQUE, NOW_MS)
    changes.put("email", "helen@x")
    assert changes.difference().removed == []
    changes.put("email", "poole@x", instead_of="ed@x")
    assert changes.difference().removed == [(1, "email", "ed@x")]
    assert changes.profile.identities["email"] == {"helen@x": NOW_MS, "poole@x": NOW_MS}


def test_an_old_value_goes_though_the_new_one_is_there_already() -> None:
    changes = Changes(Profile(1, 0, {"email": {"a@x": 0, "b@x": 0}}), [], NOTHING_UNIQUE, NOW_MS)
    changes.put("email", "b@x", instead_of="a@x")
    assert changes.difference().removed == [(1, "email", "a@x")]
    assert changes.difference().added == []


def test_an_immutable_value_is_set_once() -> None:
    changes = Changes(profile(1), [], IMMUTABLE, NOW_MS)
    changes.put("customerid", "C-1")
    with pytest.raises(ImmutableIdentity):
        changes.put("customerid", "C-2")
    with pytest.raises(ImmutableIdentity):
        changes.remove("customerid", "C-1")


def test_an_immutable_value_is_never_taken() -> None:
    changes = Changes(profile(1), [profile(2, customerid="C-1")], IMMUTABLE, NOW_MS)
    with pytest.raises(ImmutableIdentity):
        changes.put("customerid", "C-1")


@pytest.mark.parametrize(
    ("workspace", "identity_type", "expected"),
    [
        (WORKSPACE, "email", True),
        (WORKSPACE, "mobile_number", True),
        (WORKSPACE, "device_application_stamp", False),
        (NOTHING_UNIQUE, "email", False),
    ],
)
def test_which_types_hold_one_value(
    workspace: Workspace, identity_type: str, expected: bool
) -> None:
    assert holds_one_value(workspace, identity_type) is expected
