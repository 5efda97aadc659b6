"""What is known of the person whose event it is, on each kind of database."""

from typing import Any

import pytest
from sqlalchemy import insert

from higgs_shop.database import Database, JsonText
from higgs_shop.tables import device_users, user_attributes
from higgs_shop.tracker.batch import KnownIdentity, Person
from higgs_shop.tracker.people import read_person

ADA = 2**53 - 1


def seen(database: Database, *, mpid: int = ADA, identities: Any, **attributes: Any) -> None:
    """Somebody was seen on the device, and has attributes."""
    here = {"workspace_id": "default", "mpid": mpid}
    with database.write() as connection:
        connection.execute(
            insert(device_users).values(
                **here,
                stamp="phone",
                identities=identities,
                is_logged_in=True,
                first_seen_ms=1,
                last_seen_ms=1,
            )
        )
        for name, value in attributes.items():
            connection.execute(
                insert(user_attributes).values(**here, name=name, value=value, set_at_ms=1)
            )


def person(database: Database, mpid: int = ADA) -> Person:
    with database.read() as connection:
        return read_person(connection, "default", "phone", mpid)


def test_identities_and_attributes_come_as_they_were_kept(database: Database) -> None:
    seen(
        database,
        identities={
            "email": {"value": "ada@example.org", "set_at_ms": 7},
            "customerid": {"value": "C-1", "set_at_ms": 6},
        },
        wants_marketing=True,
        name='Ada "Ünlü" 🎈',
        visits=2**53,
        spent=0.1,
        nickname=None,
    )
    seen(database, mpid=4711, identities={}, name="somebody else")
    assert person(database) == Person(
        ADA,
        [KnownIdentity("customerid", "C-1", 6), KnownIdentity("email", "ada@example.org", 7)],
        {
            "name": 'Ada "Ünlü" 🎈',
            "nickname": None,
            "spent": 0.1,
            "visits": 2**53,
            "wants_marketing": True,
        },
    )


def test_attributes_are_told_in_the_order_of_their_names(database: Database) -> None:
    """A body is made from them, and must not differ from one day to the next."""
    seen(database, identities={}, b=2, c=3, a=1)
    assert list(person(database).attributes) == ["a", "b", "c"]


@pytest.mark.parametrize("mpid", [ADA, 4711])
def test_of_somebody_new_nothing_is_known(database: Database, mpid: int) -> None:
    seen(database, identities={})
    assert person(database, mpid) == Person(mpid, [], {})


def test_json_that_is_written_already_is_kept_as_it_is(database: Database) -> None:
    seen(database, identities=JsonText('{"email":{"value":"ä","set_at_ms":7}}'))
    assert person(database).identities == [KnownIdentity("email", "ä", 7)]
