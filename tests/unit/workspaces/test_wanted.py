"""A workspace from texts: what is left out is made, and what is wrong is named with what is allowed."""

import pytest

from higgs_shop.identity_types import DEFAULT_IDS, DEFAULT_PRIORITY
from higgs_shop.workspaces import Workspace, WorkspaceRefused, as_texts, new_workspace


def mistakes(**given: str) -> dict[str, str]:
    """What is wrong, by field."""
    with pytest.raises(WorkspaceRefused) as raised:
        new_workspace({"id": "kiosk", **given})
    return {mistake.field: mistake.reason for mistake in raised.value.mistakes}


def test_a_name_is_enough() -> None:
    one, other = new_workspace({"id": "kiosk"}), new_workspace({"id": "kiosk"})
    assert one.api_key.startswith("kiosk-")
    assert one.api_key != other.api_key
    assert len(one.api_secret) > 30
    assert one.api_secret != other.api_secret
    assert one.identity_strategy == "profile_conversion"
    assert one.identity_priority == DEFAULT_PRIORITY
    assert (one.login_ids, one.unique_ids) == (("customerid", "email"), ("customerid", "email"))
    assert one.immutable_ids == ()


def test_everything_may_be_given() -> None:
    assert new_workspace(
        {
            "id": "kiosk",
            "api_key": "us1-A.b_c",
            "api_secret": "geheim, für uns",
            "identity_strategy": "profile_isolation",
            "identity_priority": "email, customerid",
            "login_ids": "customerid",
            "unique_ids": "customerid,email",
            "immutable_ids": "customerid",
        }
    ) == Workspace(
        id="kiosk",
        api_key="us1-A.b_c",
        api_secret="geheim, für uns",
        identity_strategy="profile_isolation",
        identity_priority=("email", "customerid"),
        login_ids=("customerid",),
        unique_ids=("customerid", "email"),
        immutable_ids=("customerid",),
    )


@pytest.mark.parametrize("strategy", DEFAULT_IDS)
def test_ids_are_the_strategy_s_unless_they_are_given(strategy: str) -> None:
    workspace = new_workspace({"id": "kiosk", "identity_strategy": strategy})
    assert workspace.login_ids == workspace.unique_ids == DEFAULT_IDS[strategy]


def test_no_type_at_all_is_a_comma() -> None:
    assert new_workspace({"id": "kiosk", "unique_ids": ","}).unique_ids == ()


@pytest.mark.parametrize("name", ["a", "0", "a-b", "suite-1--x", "a" * 40])
def test_a_name_fits_into_an_address(name: str) -> None:
    assert new_workspace({"id": name}).id == name


@pytest.mark.parametrize(
    "name", ["", " ", "A", "a b", "a/b", "-a", "a-", "a" * 41, "é", "a\n", "\x00", "..", "a_b"]
)
def test_what_does_not_fit_is_refused_and_nothing_else_is(name: str) -> None:
    with pytest.raises(WorkspaceRefused) as raised:
        new_workspace({"id": name})
    (mistake,) = raised.value.mistakes
    assert mistake.field == "id"
    assert "small letters, digits and dashes" in mistake.reason


@pytest.mark.parametrize("text", ["a b", "ü", "k\x00", "k\n", "x" * 101, "a:b"])
def test_a_key_fits_into_a_header(text: str) -> None:
    assert mistakes(api_key=text) == {
        "api_key": "use up to 100 letters, digits, dots, dashes and underscores"
    }


@pytest.mark.parametrize("text", ["s\x00", "s\n", "x" * 201, "\ud800", "\x7f"])
def test_a_wrong_secret_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(WorkspaceRefused) as raised:
        new_workspace({"id": "kiosk", "api_secret": f"canary{text}"})
    (mistake,) = raised.value.mistakes
    assert (mistake.field, mistake.shown) == ("api_secret", "***")
    assert mistake.reason == "use 1 to 200 characters that can be printed"
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "field", "reason"),
    [
        (
            {"identity_strategy": "zzz"},
            "identity_strategy",
            "no such strategy; use default, profile",
        ),
        ({"identity_strategy": "profile_lnk"}, "identity_strategy", "did you mean profile_link?"),
        (
            {"identity_priority": "nose"},
            "identity_priority",
            "no such identity type: nose; use some",
        ),
        ({"identity_priority": ","}, "identity_priority", "use identity types separated by commas"),
        ({"login_ids": "emial"}, "login_ids", "no such identity type: emial; did you mean email?"),
        ({"login_ids": ","}, "login_ids", "use identity types separated by commas"),
        ({"unique_ids": "email,email"}, "unique_ids", "twice there: email"),
        ({"immutable_ids": "other"}, "immutable_ids", "no login ID: other; use types that are"),
        (
            {"unique_ids": "email", "immutable_ids": "customerid"},
            "immutable_ids",
            "no unique ID: customerid; use types that are login IDs and unique IDs too",
        ),
        (
            {"identity_strategy": "best_match", "login_ids": "email"},
            "login_ids",
            "best_match has none",
        ),
        ({"login_ids": "a\x00\n" + "b" * 500}, "login_ids", "no such identity type: a"),
    ],
)
def test_each_mistake_is_named_in_a_line(given: dict[str, str], field: str, reason: str) -> None:
    found = mistakes(**given)
    assert list(found) == [field]
    assert reason in found[field]
    assert "\n" not in found[field]


def test_all_mistakes_are_named_at_once() -> None:
    wrong = {"api_key": " ", "identity_strategy": "x", "login_ids": "y", "immutable_ids": "z"}
    assert list(mistakes(**wrong)) == list(wrong)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"identity_strategy": "best_match"},
        {"login_ids": "email", "unique_ids": ",", "identity_priority": "email"},
        {"immutable_ids": "email"},
    ],
)
def test_the_texts_of_a_workspace_make_it_again(given: dict[str, str]) -> None:
    workspace = new_workspace({"id": "kiosk", **given})
    assert new_workspace(as_texts(workspace)) == workspace


def test_what_a_strategy_brings_goes_with_it() -> None:
    usual = as_texts(new_workspace({"id": "kiosk"}))
    changed = new_workspace({**usual, "identity_strategy": "default"})
    assert changed.login_ids == ("customerid",)
    special = as_texts(new_workspace({"id": "kiosk", "login_ids": "email"}))
    changed = new_workspace({**special, "identity_strategy": "default"})
    assert (changed.login_ids, changed.unique_ids) == (("email",), ("customerid",))
