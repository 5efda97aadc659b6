"""The identities by which the shop knows its customers."""

from sqlalchemy import Connection, bindparam, select

from higgs_shop.identity_types import CUSTOMER_ID, EMAIL, MOBILE_NUMBER
from higgs_shop.tables import customers


def identities_of(
    connection: Connection, workspace_id: str, customer_id: str
) -> dict[str, str | None]:
    """The identities by which a customer is known; null for those that they do not have."""
    row = connection.execute(
        _CUSTOMER, {"workspace": workspace_id, "customer": customer_id}
    ).one_or_none()
    if row is None:
        return {CUSTOMER_ID: customer_id}
    return {CUSTOMER_ID: customer_id, EMAIL: row.email, MOBILE_NUMBER: row.phone or None}


_CUSTOMER = select(customers.c.email, customers.c.phone).where(
    customers.c.workspace_id == bindparam("workspace"),
    customers.c.customer_id == bindparam("customer"),
)
