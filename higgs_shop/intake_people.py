"""Who the people of batches are that name no MPID: the identity service is asked, embedded or remote."""

from collections.abc import Mapping
from typing import Any

from higgs_shop import intake
from higgs_shop.identity_client import IdentityClient, IdentityError, Refused
from higgs_shop.identity_types import parse_mpid
from higgs_shop.idsync_service import IdentityRequest, IdSyncError, Resolver, digest_of
from higgs_shop.workspaces import DEFAULT_WORKSPACE, Workspace


def ask_embedded(resolver: Resolver) -> intake.Resolve:
    """Ask the embedded identity service, within the process: it knows every workspace."""

    def resolve(
        workspace: Workspace, environment: Any, identities: Mapping[str, str], name: str | None
    ) -> int:
        asked = IdentityRequest(
            environment=environment, known_identities=dict(identities), request_id=_request_id(name)
        )
        try:
            answer = resolver.move(
                workspace, "identify", asked, digest_of("identify", "", asked.content())
            )
        except IdSyncError as error:
            raise intake.BadRequest(*error.messages) from error
        return parse_mpid(answer["mpid"])

    return resolve


def ask_remote(client: IdentityClient, of_others: intake.Resolve) -> intake.Resolve:
    """Ask a remote identity service, which knows the default workspace alone.

    Args:
        of_others: asked about people of other workspaces.
    """

    def resolve(
        workspace: Workspace, environment: str, identities: Mapping[str, str], name: str | None
    ) -> int:
        if workspace.id != DEFAULT_WORKSPACE:
            return of_others(workspace, environment, identities, name)
        try:
            return parse_mpid(client.resolve(identities, request_id=_request_id(name)))
        except Refused as error:
            if error.status_code != 400:
                raise intake.Unavailable(f"the identity service answers: {error}") from error
            raise intake.BadRequest(str(error)) from error
        except IdentityError as error:
            # Whoever knows the key reads this: what the store knows of its network stays here.
            raise intake.Unavailable(
                f"the identity service does not answer: {error.code}"
            ) from error

    return resolve


def _request_id(name: str | None) -> str | None:
    """The same for the same batch, however long its name is."""
    return None if name is None else f"batch-{digest_of('batch', '', name.encode())}"
