"""What can be wrong with a wish about outputs.

OutputRefused: what was asked for is wrong; `mistakes` says what, field by field.
NoSuchOutput: there is no output of that name.
"""

from collections.abc import Sequence

from higgs_shop.mistakes import Mistake


class OutputRefused(Exception):
    """Some values are wrong; nothing was written."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("; ".join(f"{each.field}: {each.reason}" for each in mistakes))
        self.mistakes = tuple(mistakes)


class NoSuchOutput(Exception):
    """There is no output of that name in the workspace."""
