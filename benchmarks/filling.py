"""Fills a store with people, as if they had come one after the other: in bulk, by SQLite alone.

Half of them are anonymous and half are customers, with three identities each, and one decision each.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from benchmarks.stores import Store
from higgs_shop.workspaces import DEFAULT_WORKSPACE

_AT_A_TIME: Final = 100_000
_SET_AT_MS: Final = 1_772_360_100_000
# Far from each other, and in their order: what is written in order is written quickly.
_MPID_STEP: Final = 9_000_001

_CUSTOMER: Final[Mapping[str, str]] = {
    "customerid": "C-%09d",
    "device_application_stamp": "stamp-%09d",
    "email": "visitor.%09d@example.com",
}
_ANONYMOUS: Final[Mapping[str, str]] = {
    "android_uuid": "uuid-%09d",
    "device_application_stamp": "stamp-%09d",
    "ios_idfv": "idfv-%09d",
}
_KINDS: Final = (_CUSTOMER, _ANONYMOUS)
"""By the remainder of a person's number, halved."""


def identities_of(number: int) -> dict[str, str]:
    """What somebody can be found by: a customer when the number is even, and else nobody known."""
    return {name: pattern % number for name, pattern in _KINDS[number % 2].items()}


def mpid_of(number: int) -> int:
    """Somebody's profile."""
    return number * _MPID_STEP


def fill(of: Store, people: int) -> None:
    """Let so many people have come, numbered from 1."""
    for statement in _statements():
        for first in range(1, people + 1, _AT_A_TIME):
            last = min(first + _AT_A_TIME - 1, people)
            with of.parts.database.write() as connection:
                connection.exec_driver_sql(statement, {"first": first, "last": last})


def _statements() -> Iterator[str]:
    """Table by table, each in the order of its primary key."""
    for remainder, patterns in enumerate(_KINDS):
        yield from (_profiles(remainder, patterns), *_identities(remainder, patterns))
    yield f"""
INSERT INTO identity_decisions
    (workspace_id, action, request_id, request_digest, mpid, record, decided_at_ms)
{_NUMBERS}
SELECT '{DEFAULT_WORKSPACE}', 'identify', lower(hex(randomblob(16))), lower(hex(randomblob(16))),
    n * {_MPID_STEP}, '{{"request": {{}}, "answer": {{}}, "steps": []}}', {_SET_AT_MS} + n
FROM numbers"""  # noqa: S608 - of our own constants


def _profiles(remainder: int, patterns: Mapping[str, str]) -> str:
    record = ", ".join(
        f"'{name}', json_object(printf('{pattern}', n), {_SET_AT_MS})"
        for name, pattern in patterns.items()
    )
    return f"""
INSERT INTO profiles
    (workspace_id, mpid, identities, created_at_ms, first_seen_ms, last_seen_ms)
{_NUMBERS}
SELECT '{DEFAULT_WORKSPACE}', n * {_MPID_STEP}, json_object({record}),
    {_SET_AT_MS} + n, {_SET_AT_MS} + n, {_SET_AT_MS} + n
FROM numbers WHERE n % 2 = {remainder}"""  # noqa: S608


def _identities(remainder: int, patterns: Mapping[str, str]) -> Iterator[str]:
    for name, pattern in patterns.items():
        yield f"""
INSERT INTO profile_identities (workspace_id, identity_type, identity_value, mpid)
{_NUMBERS}
SELECT '{DEFAULT_WORKSPACE}', '{name}', printf('{pattern}', n), n * {_MPID_STEP}
FROM numbers WHERE n % 2 = {remainder}"""  # noqa: S608


_NUMBERS: Final = """\
WITH RECURSIVE numbers(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM numbers WHERE n < :last)"""
