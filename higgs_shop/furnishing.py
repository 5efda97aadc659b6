"""What every store holds from the start: its workspace, an output and the ready accounts."""

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from higgs_shop.outputs import ensure_main_output
from higgs_shop.settings import Settings, SettingsError, variable
from higgs_shop.shop import customers
from higgs_shop.workspaces import DEFAULT_WORKSPACE, Workspace, ensure_workspace


def furnish(connection: Connection, settings: Settings, now_ms: int) -> Workspace:
    """Make what is not there yet, and give what is there what the settings say now.

    Raises: SettingsError when another workspace has the key that the settings give.
    """
    workspace = Workspace(
        id=DEFAULT_WORKSPACE,
        api_key=settings.idsync_key,
        api_secret=settings.idsync_secret.get_secret_value(),
        identity_strategy=settings.identity_strategy,
        identity_priority=settings.identity_priority,
        login_ids=settings.login_ids,
        unique_ids=settings.unique_ids,
        immutable_ids=settings.immutable_ids,
    )
    try:
        ensure_workspace(connection, workspace, now_ms)
    except IntegrityError:
        name = variable("idsync_key")
        raise SettingsError(
            [f"{name}={workspace.api_key}: another workspace has that key"]
        ) from None
    authorization = settings.webhook_authorization.get_secret_value()
    ensure_main_output(
        connection,
        workspace.id,
        now_ms=now_ms,
        given={
            **({"url": settings.webhook_url} if settings.webhook_url else {}),
            **({"send_alias_requests": True} if settings.webhook_alias_requests else {}),
        },
        authorization=authorization or None,
    )
    customers.ensure_ready_accounts(connection, workspace.id, now_ms)
    return workspace
