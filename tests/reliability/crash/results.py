"""What is promised of every run, and its line in the table."""

from tests.reliability.crash.judging import Judgement
from tests.reliability.result import Result


def line_of(tried: str, judgement: Judgement, faults: list[str]) -> list[Result]:
    """The one line of a run that was judged."""
    counts = {
        "acknowledged": judgement.acknowledged,
        "stored": judgement.stored,
        "delivered": judgement.delivered,
        "duplicates": judgement.duplicates,
        "lost": judgement.lost,
        "out of order": judgement.out_of_order,
    }
    found = ", ".join(f"{count:,} {what}" for what, count in counts.items())
    return [Result(tried, found, tuple(faults))]


def faults_in(judgement: Judgement, *, refusals: list[str]) -> list[str]:
    """What is promised of every run: nothing lost, nothing altered, in order, no error pages."""
    promised = {
        "events are lost": judgement.lost,
        "repetitions have another body": judgement.altered,
        "first deliveries are out of order": judgement.out_of_order,
        f"answers are errors ({refusals[:1]})": len(refusals),
    }
    return [f"{count} {what}" for what, count in promised.items() if count]
