"""What a run found, for a table and for a test."""

from dataclasses import dataclass

from tests.crash.judging import Judgement


@dataclass(frozen=True)
class Result:
    """One target, tried once.

    Attributes:
        kills: processes, and stops of the database.
        judgement: the counts; None for a target that is about something else.
        faults: a sentence for each promise that was not kept.
    """

    target: str
    kills: int
    judgement: Judgement
    faults: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether every promise was kept."""
        return not self.faults


def faults_in(judgement: Judgement, *, refusals: list[str]) -> list[str]:
    """What is promised of every run: nothing lost, nothing altered, in order, no error pages."""
    promised = {
        "events are lost": judgement.lost,
        "repetitions have another body": judgement.altered,
        "first deliveries are out of order": judgement.out_of_order,
        f"answers are errors ({refusals[:1]})": len(refusals),
    }
    return [f"{count} {what}" for what, count in promised.items() if count]


def more_than(found: int, most: int, what: str) -> list[str]:
    """A fault if there are more than allowed."""
    return [f"{found} {what}, at most {most} are allowed"] if found > most else []
