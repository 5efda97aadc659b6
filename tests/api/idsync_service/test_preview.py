"""What a call would come to, from the same rules, with nothing written."""

import pytest

from higgs_shop.database import Database
from higgs_shop.idsync_service import IdentityRequest, IdSyncError, Resolver
from higgs_shop.tables import metadata
from higgs_shop.workspaces import Workspace
from tests.api.idsync_service.conftest import NOW_MS, Calls, StoreWorkspace


@pytest.fixture
def resolver(database: Database) -> Resolver:
    """One that must not make a profile."""

    def new_mpid() -> int:
        raise AssertionError("a preview draws no MPID")

    return Resolver(database, clock=lambda: NOW_MS, new_mpid=new_mpid)


def request(previous_mpid: str | None = None, **identities: str) -> IdentityRequest:
    return IdentityRequest(
        environment="development", known_identities=dict(identities), previous_mpid=previous_mpid
    )


def everything(database: Database) -> list[object]:
    with database.read() as connection:
        return [connection.execute(table.select()).all() for table in metadata.sorted_tables]


def test_a_new_profile_has_no_number_yet(
    workspace: Workspace, resolver: Resolver, database: Database
) -> None:
    before = everything(database)
    preview = resolver.preview(workspace, "login", request(customerid="C-1"))
    assert (preview.profile, preview.is_new, preview.is_logged_in) == (None, True, True)
    assert preview.matched_identities == {}
    assert [step.rule for step in preview.steps] == [
        "looked_up",
        "new_person",
        "profile_created",
        "identity_added",
    ]
    assert "0" not in " ".join(step.text for step in preview.steps)
    assert everything(database) == before


def test_a_conversion_is_foretold_and_not_done(
    workspace: Workspace, resolver: Resolver, calls: Calls, database: Database
) -> None:
    mpid = calls.identify({"device_application_stamp": "d-1"})["mpid"]
    before = everything(database)
    preview = resolver.preview(
        workspace, "login", request(mpid, customerid="C-1", device_application_stamp="d-1")
    )
    assert preview.profile is not None
    assert (str(preview.profile.mpid), preview.is_new, preview.is_logged_in) == (mpid, False, True)
    assert preview.matched_identities == {"device_application_stamp": "d-1"}
    assert everything(database) == before


def test_a_search_that_finds_nobody_is_an_answer(workspace: Workspace, resolver: Resolver) -> None:
    preview = resolver.preview(workspace, "search", request(email="a@example.test"))
    assert (preview.profile, preview.is_new) == (None, False)
    assert preview.steps[-1].rule == "nobody_found"


def test_what_the_call_would_be_refused_for_is_raised(
    store_workspace: StoreWorkspace, resolver: Resolver, calls: Calls
) -> None:
    strict = store_workspace(
        immutable_ids=("customerid",), identity_priority=("email", "customerid")
    )
    calls.identify({"customerid": "C-1"})
    calls.identify({"email": "a@example.test"})
    with pytest.raises(IdSyncError, match="belongs to another profile"):
        resolver.preview(strict, "identify", request(customerid="C-1", email="a@example.test"))
