"""One line of what was found out."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """What a target asked for, and what there was.

    Attributes:
        target: its id, as D5.
        name: which part of it, in a few words.
        figure: what was counted and measured.
        is_met: whether that is what was asked for.
    """

    target: str
    name: str
    figure: str
    is_met: bool
