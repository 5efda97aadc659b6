"""What can be wrong with a workspace, by what the caller can do next.

WorkspaceError
├─ WorkspaceRefused     something that was given is wrong: .mistakes says what is allowed
├─ NoSuchWorkspace      it is not there, or not any more: look at the list
└─ DefaultWorkspace     it belongs to the environment: change the settings, or reset the store
"""

from collections.abc import Sequence

from higgs_shop.mistakes import Mistake


class WorkspaceError(Exception):
    """Anything that keeps a workspace from being made, changed or removed."""


class WorkspaceRefused(WorkspaceError):
    """Some of what was given is wrong, and nothing was written."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__(
            "; ".join(f"{each.field}={each.shown}: {each.reason}" for each in mistakes)
        )
        self.mistakes = tuple(mistakes)


class NoSuchWorkspace(WorkspaceError):
    """There is no workspace of that name (any more)."""


class DefaultWorkspace(WorkspaceError):
    """The default workspace is what the environment says, for as long as there is a store."""
