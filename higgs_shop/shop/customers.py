"""Who has an account. Real rows behind a mock login: one password for everybody, printed on the page.

A customer's id is static, made at random, and never an e-mail address: addresses change, ids do not.
What a person types as a password is compared and thrown away.
"""

import hmac
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, or_, select
from sqlalchemy import update as sql_update
from sqlalchemy.exc import IntegrityError

from higgs_shop.shop.errors import EmailTaken, ShopError, UnknownCustomer
from higgs_shop.shop.identifiers import new_customer_id as random_customer_id
from higgs_shop.tables import customers

DEMO_PASSWORD: Final = "higgs-boson"  # noqa: S105 - no secret: it is printed on the sign-in page

# There are 32^8 ids; when this many in a row are taken, the source of randomness is broken.
_IDS_TRIED: Final = 5


@dataclass(frozen=True)
class Customer:
    """One account.

    Attributes:
        phone: empty when none was given.
        is_ready_account: it came with the store.
    """

    customer_id: str
    name: str
    email: str
    phone: str
    wants_marketing: bool
    is_ready_account: bool
    created_at_ms: int


@dataclass(frozen=True)
class ReadyAccount:
    """An account that comes with the store, for a first look and for test suites."""

    customer_id: str
    name: str
    email: str


READY_ACCOUNTS: Final = (
    ReadyAccount("returning_user", "Ada Track", "ada.track@example.com"),
    ReadyAccount("shared_device_user", "Sam Loop", "sam.loop@example.com"),
    ReadyAccount("email_changer", "Emmy Drift", "emmy.drift@example.org"),
)


def password_matches(text: str) -> bool:
    """Whether somebody typed the demo password."""
    return hmac.compare_digest(text.encode("utf-8", "replace"), DEMO_PASSWORD.encode())


def create(
    connection: Connection,
    workspace_id: str,
    *,
    name: str,
    email: str,
    phone: str,
    wants_marketing: bool,
    now_ms: int,
    new_customer_id: Callable[[], str] = random_customer_id,
) -> Customer:
    """Open an account under a new customer id.

    Raises: EmailTaken, also when two people send the same address at the same moment.
    """
    for _ in range(_IDS_TRIED):
        with suppress(IntegrityError):
            return _insert(
                connection,
                workspace_id=workspace_id,
                customer_id=new_customer_id(),
                name=name,
                email=email,
                phone=phone,
                wants_marketing=wants_marketing,
                is_ready_account=False,
                created_at_ms=now_ms,
            )
        _refuse_taken(connection, workspace_id, email)
    raise ShopError(f"no free customer id in {_IDS_TRIED} tries")


def find(connection: Connection, workspace_id: str, customer_id: str) -> Customer | None:
    """The customer of this id, or None."""
    row = connection.execute(
        select(customers).where(
            customers.c.workspace_id == workspace_id, customers.c.customer_id == customer_id
        )
    ).first()
    return None if row is None else _customer(row)


def find_by_login(connection: Connection, workspace_id: str, text: str) -> Customer | None:
    """The customer who signs in with this text: the exact id, or the e-mail address in any case."""
    login = text.strip()
    row = connection.execute(
        select(customers).where(
            customers.c.workspace_id == workspace_id,
            or_(customers.c.customer_id == login, customers.c.email_key == _email_key(login)),
        )
    ).first()
    return None if row is None else _customer(row)


def update(
    connection: Connection,
    workspace_id: str,
    customer_id: str,
    *,
    name: str,
    email: str,
    phone: str,
) -> Customer:
    """Change what the profile page lets a customer change.

    Raises: EmailTaken, also when two people send the same address at the same moment;
        UnknownCustomer.
    """
    change = (
        sql_update(customers)
        .where(customers.c.workspace_id == workspace_id, customers.c.customer_id == customer_id)
        .values(name=name, email=email, email_key=_email_key(email), phone=phone)
        .returning(customers)
    )
    try:
        with connection.begin_nested():
            row = connection.execute(change).first()
    except IntegrityError as error:
        raise EmailTaken(email) from error
    if row is None:
        raise UnknownCustomer(customer_id)
    return _customer(row)


def ensure_ready_accounts(connection: Connection, workspace_id: str, now_ms: int) -> None:
    """Open the ready accounts that are missing; those that exist keep what was changed in them."""
    for account in READY_ACCOUNTS:
        if find(connection, workspace_id, account.customer_id) is not None:
            continue
        # Another process may be starting too, or a customer may have taken the address before.
        with suppress(IntegrityError):
            _insert(
                connection,
                workspace_id=workspace_id,
                customer_id=account.customer_id,
                name=account.name,
                email=account.email,
                phone="",
                wants_marketing=False,
                is_ready_account=True,
                created_at_ms=now_ms,
            )


def _insert(connection: Connection, **values: Any) -> Customer:
    with connection.begin_nested():
        new_customer = insert(customers).values(email_key=_email_key(values["email"]), **values)
        return _customer(connection.execute(new_customer.returning(customers)).one())


def _refuse_taken(connection: Connection, workspace_id: str, email: str) -> None:
    taken = select(customers.c.customer_id).where(
        customers.c.workspace_id == workspace_id, customers.c.email_key == _email_key(email)
    )
    if connection.scalar(taken) is not None:
        raise EmailTaken(email)


def _email_key(email: str) -> str:
    return email.strip().lower()


def _customer(row: Row[Any]) -> Customer:
    return Customer(
        customer_id=row.customer_id,
        name=row.name,
        email=row.email,
        phone=row.phone,
        wants_marketing=row.wants_marketing,
        is_ready_account=row.is_ready_account,
        created_at_ms=row.created_at_ms,
    )
