"""What was found out, for a table and for a test."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """One line of what was found.

    Attributes:
        tried: what was done, in a few words.
        found: what was counted and measured.
        faults: a sentence for each promise that was not kept.
    """

    tried: str
    found: str
    faults: tuple[str, ...]


def more_than(found: int, most: int, what: str) -> list[str]:
    """A fault if there are more than allowed."""
    return [f"{found} {what}, at most {most} are allowed"] if found > most else []
