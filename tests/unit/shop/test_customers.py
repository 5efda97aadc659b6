"""The mock login: one password for all, and ready accounts under reserved addresses."""

import pytest

from higgs_shop.shop.customers import DEMO_PASSWORD, READY_ACCOUNTS, password_matches


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        (DEMO_PASSWORD, True),
        ("", False),
        ("Higgs-Boson", False),
        (f"{DEMO_PASSWORD} ", False),
        ("hïggs-boson", False),
        ("\ud800", False),
    ],
)
def test_only_the_demo_password_matches(text: str, matches: bool) -> None:
    assert password_matches(text) is matches


def test_ready_accounts_have_readable_ids_and_reserved_addresses() -> None:
    assert [account.customer_id for account in READY_ACCOUNTS] == [
        "returning_user",
        "shared_device_user",
        "email_changer",
    ]
    assert all(
        account.email.endswith(("@example.com", "@example.org")) for account in READY_ACCOUNTS
    )
