"""The store's own inbox, as the outputs see it: who posts there, and with which secrets it is signed."""

from collections.abc import Mapping

from sqlalchemy import Connection

from higgs_shop.database import Database
from higgs_shop.outputs import Output, list_outputs, running_outputs
from higgs_shop.webhook_output import Verdict, verify


class OwnInbox:
    """Where outputs post that have no URL of their own.

    Args:
        workspace_id: the default workspace.
        address: the URL of the inbox.
        webhook_secret: what signs for outputs without secrets.
    """

    def __init__(
        self, database: Database, *, workspace_id: str, address: str, webhook_secret: str
    ) -> None:
        self._database = database
        self._workspace_id = workspace_id
        self._address = address
        self._webhook_secret = webhook_secret

    def webhooks(self, connection: Connection) -> dict[str, str]:
        """Where the default workspace's events go: the URL of each active output, by its name."""
        return {
            output.name: output.settings.url or self._address
            for output in list_outputs(connection, self._workspace_id)
            if output.settings.is_active
        }

    def verify_signature(self, headers: Mapping[str, str], body: bytes, now_ms: int) -> Verdict:
        """Check a request to the inbox against the secrets of the outputs that post there."""
        with self._database.read() as connection:
            found = list_outputs(connection, self._workspace_id)
        own = [secret for output in found if self._posts_here(output) for secret in output.secrets]
        return verify([self._webhook_secret, *own], headers, body, now_ms)

    def signers(self, headers: Mapping[str, str], body: bytes, now_ms: int) -> list[str]:
        """The outputs, of all workspaces, that may have signed a request to the inbox, by their names.

        One that is paused sends nothing.
        """
        usual = (self._webhook_secret,)
        with self._database.read() as connection:
            found = [each for each in running_outputs(connection) if self._posts_here(each)]
        fits = {
            secrets: verify(secrets, headers, body, now_ms).state == "valid"
            for secrets in {output.secrets or usual for output in found}
        }
        return [
            output.name
            if output.workspace_id == self._workspace_id
            else f"{output.name} of {output.workspace_id}"
            for output in found
            if fits[output.secrets or usual]
        ]

    def _posts_here(self, output: Output) -> bool:
        return output.settings.url in {"", self._address}
