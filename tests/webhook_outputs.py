"""Outputs for tests that have no whole store around them."""

from collections.abc import Sequence
from typing import Any, Final

from higgs_shop import outbox
from higgs_shop.database import Database
from higgs_shop.outbox import Attempt, Claim, HandedIn, LeaseClock
from higgs_shop.outputs import (
    MAIN_OUTPUT,
    Output,
    OutputSettings,
    add_output,
    change_output,
    find_output,
)
from higgs_shop.tables import workspaces
from higgs_shop.upsert import insert_or_ignore
from higgs_shop.workspaces import DEFAULT_WORKSPACE

NOW_MS = 1_700_000_000_000


def an_output(
    database: Database, name: str = MAIN_OUTPUT, *, authorization: str = "", **settings: Any
) -> Output:
    """An output of the default workspace, both made if they are not there.

    One that is there already is as it was, but for what is given.
    """
    wanted: dict[str, Any] = {"authorization": authorization, "secrets": ()}
    with database.write() as connection:
        connection.execute(insert_or_ignore(connection, workspaces).values(_WORKSPACE))
        output = find_output(connection, DEFAULT_WORKSPACE, name)
        if output is None:
            wanted["now_ms"] = NOW_MS
            add_output(connection, DEFAULT_WORKSPACE, name, OutputSettings(**settings), **wanted)
        elif settings or authorization:
            change_output(connection, output, OutputSettings(**settings), **wanted)
        output = find_output(connection, DEFAULT_WORKSPACE, name)
    assert output is not None
    return output


def claim_due(database: Database, **options: Any) -> Claim | None:
    """`outbox.claim_due` of one mailbox, in a transaction of its own."""
    with database.write() as connection:
        return next(iter(outbox.claim_due(connection, **options)), None)


def record(
    database: Database,
    claim: Claim,
    attempts: Sequence[Attempt],
    *,
    clock: LeaseClock,
    **options: Any,
) -> bool:
    """`outbox.record` of one mailbox, in a transaction of its own. Returns: whether it was kept."""
    handed_in = HandedIn(claim, tuple(attempts), **options)
    with database.write() as connection:
        return outbox.record(connection, [handed_in], clock=clock) == ["kept"]


_WORKSPACE: Final = {
    "id": DEFAULT_WORKSPACE,
    "api_key": "key",
    "api_secret": "secret",
    "identity_strategy": "default",
    "identity_priority": [],
    "login_ids": [],
    "unique_ids": [],
    "immutable_ids": [],
    "created_at_ms": NOW_MS,
}
