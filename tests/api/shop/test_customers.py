"""Accounts are found by id or address, and an address belongs to one of them."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from higgs_shop.database import Database
from higgs_shop.shop import Customer, EmailTaken, ShopError, UnknownCustomer, customers


def create(
    database: Database,
    email: str = "ada@example.com",
    *,
    workspace_id: str = "w",
    new_customer_id: Callable[[], str] | None = None,
) -> Customer:
    serial = count()
    with database.write() as connection:
        return customers.create(
            connection,
            workspace_id,
            name="Ada Track",
            email=email,
            phone="",
            wants_marketing=True,
            now_ms=1_000,
            new_customer_id=new_customer_id or (lambda: f"C-{email}-{next(serial)}"),
        )


def find(database: Database, customer_id: str, *, workspace_id: str = "w") -> Customer | None:
    with database.read() as connection:
        return customers.find(connection, workspace_id, customer_id)


def find_by_login(database: Database, text: str, *, workspace_id: str = "w") -> Customer | None:
    with database.read() as connection:
        return customers.find_by_login(connection, workspace_id, text)


def test_a_new_customer_gets_a_random_id_that_is_no_address(database: Database) -> None:
    with database.write() as connection:
        ada = customers.create(
            connection,
            "w",
            name="Ada Track",
            email="Ada@Example.com",
            phone="+41 22 555 0100",
            wants_marketing=True,
            now_ms=1_000,
        )

    assert ada == Customer(
        ada.customer_id, "Ada Track", "Ada@Example.com", "+41 22 555 0100", True, False, 1_000
    )
    assert ada.customer_id.startswith("C-")
    assert find(database, ada.customer_id) == ada


@pytest.mark.parametrize("text", ["C-ADA", " C-ADA ", "ada@example.com", "ADA@Example.COM "])
def test_a_customer_signs_in_by_id_or_by_address_in_any_case(database: Database, text: str) -> None:
    ada = create(database, "Ada@example.com", new_customer_id=lambda: "C-ADA")

    assert find_by_login(database, text) == ada


@pytest.mark.parametrize("text", ["", "c-ada", "Ada Track", "ada", "%", "ada@example.org"])
def test_nothing_else_signs_a_customer_in(database: Database, text: str) -> None:
    create(database, new_customer_id=lambda: "C-ADA")

    assert find_by_login(database, text) is None


def test_customers_of_another_workspace_are_unknown(database: Database) -> None:
    ada = create(database)

    assert find(database, ada.customer_id, workspace_id="other") is None
    assert find_by_login(database, ada.email, workspace_id="other") is None
    assert create(database, workspace_id="other").email == ada.email


def test_an_address_can_be_taken_once_in_whatever_case(database: Database) -> None:
    ada = create(database)

    with pytest.raises(EmailTaken):
        create(database, "ADA@EXAMPLE.COM", new_customer_id=lambda: "C-SAM")

    assert find_by_login(database, "ada@example.com") == ada
    assert find(database, "C-SAM") is None


def test_of_two_who_send_the_same_address_at_once_one_gets_it(database: Database) -> None:
    start = threading.Barrier(4)

    def sign_up(serial: int) -> str | None:
        start.wait(timeout=10)
        try:
            return create(database, new_customer_id=lambda: f"C-{serial}").customer_id
        except EmailTaken:
            return None

    with ThreadPoolExecutor(4) as pool:
        created = [customer_id for customer_id in pool.map(sign_up, range(4)) if customer_id]

    assert len(created) == 1
    assert find(database, created[0]) is not None


def test_an_id_that_is_taken_is_made_again(database: Database) -> None:
    create(database, new_customer_id=lambda: "C-ADA")
    ids = iter(["C-ADA", "C-SAM"])

    sam = create(database, "sam@example.com", new_customer_id=lambda: next(ids))

    assert sam.customer_id == "C-SAM"


def test_when_every_id_is_taken_nobody_is_created(database: Database) -> None:
    create(database, new_customer_id=lambda: "C-ADA")

    with pytest.raises(ShopError, match="no free customer id"):
        create(database, "sam@example.com", new_customer_id=lambda: "C-ADA")

    assert find_by_login(database, "sam@example.com") is None


def update(database: Database, customer_id: str, email: str) -> Customer:
    with database.write() as connection:
        return customers.update(
            connection, "w", customer_id, name="Ada T.", email=email, phone="123"
        )


def test_a_profile_edit_is_kept_and_moves_the_login(database: Database) -> None:
    ada = create(database)

    edited = update(database, ada.customer_id, "Ada.T@example.com")

    assert (edited.name, edited.email, edited.phone) == ("Ada T.", "Ada.T@example.com", "123")
    assert edited.wants_marketing
    assert find_by_login(database, "ada.t@example.com") == edited
    assert find_by_login(database, "ada@example.com") is None


def test_writing_the_own_address_in_another_case_is_no_conflict(database: Database) -> None:
    ada = create(database)

    assert update(database, ada.customer_id, "ADA@example.com").email == "ADA@example.com"


def test_a_profile_edit_cannot_take_anothers_address(database: Database) -> None:
    ada, sam = create(database), create(database, "sam@example.com")

    with pytest.raises(EmailTaken):
        update(database, sam.customer_id, "ADA@example.com")

    assert find(database, sam.customer_id) == sam
    assert find(database, ada.customer_id) == ada


def test_after_a_taken_address_the_transaction_goes_on(database: Database) -> None:
    create(database)
    sam = create(database, "sam@example.com")

    with database.write() as connection:
        with pytest.raises(EmailTaken):
            customers.update(
                connection, "w", sam.customer_id, name="", email="ada@example.com", phone=""
            )
        assert customers.find(connection, "w", sam.customer_id) == sam


def test_an_unknown_customer_has_no_profile_to_edit(database: Database) -> None:
    with pytest.raises(UnknownCustomer):
        update(database, "C-NOBODY", "nobody@example.com")


def ensure_ready_accounts(database: Database, now_ms: int) -> None:
    with database.write() as connection:
        customers.ensure_ready_accounts(connection, "w", now_ms)


def test_ready_accounts_are_there_from_the_start(database: Database) -> None:
    ensure_ready_accounts(database, 1_000)

    for account in customers.READY_ACCOUNTS:
        assert find_by_login(database, account.email) == Customer(
            account.customer_id, account.name, account.email, "", False, True, 1_000
        )


def test_another_start_leaves_edited_ready_accounts_alone(database: Database) -> None:
    ensure_ready_accounts(database, 1_000)
    emmy = update(database, "email_changer", "emmy.new@example.org")
    somebody = create(database, "emmy.drift@example.org")

    ensure_ready_accounts(database, 2_000)

    assert find(database, "email_changer") == emmy
    assert find(database, somebody.customer_id) == somebody


def test_a_ready_account_whose_address_is_taken_is_left_out(database: Database) -> None:
    somebody = create(database, "ada.track@example.com")

    ensure_ready_accounts(database, 1_000)

    assert find_by_login(database, "ada.track@example.com") == somebody
    assert find(database, "returning_user") is None
    assert find(database, "email_changer") is not None
