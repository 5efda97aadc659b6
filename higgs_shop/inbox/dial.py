"""How a session answers: the dial that people turn, and the answer that a request got by it.

Nothing here asks the database.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from pydantic import BaseModel, ConfigDict

from higgs_shop.mistakes import explained

USUAL_STATUS: Final = 204
"""What is answered when nobody turned the dial, and when it has run down."""

MOST_DELAY_MS: Final = 30_000
_MOST_RETRY_AFTER_SECONDS: Final = 86_400
_MOST_TIMES: Final = 1_000


class Dial(BaseModel):
    """How a session answers from now on; a new one answers 204 at once to every request."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: int = explained(
        "status code of the answer",
        allowed="a whole number from 200 to 599",
        default=USUAL_STATUS,
        ge=200,
        le=599,
    )
    retry_after_seconds: int | None = explained(
        "the answer's Retry-After header",
        allowed=f"whole seconds from 0 to {_MOST_RETRY_AFTER_SECONDS:,}, or nothing",
        default=None,
        ge=0,
        le=_MOST_RETRY_AFTER_SECONDS,
    )
    delay_ms: int = explained(
        "how long the answer is held back",
        allowed=f"whole milliseconds from 0 to {MOST_DELAY_MS:,}",
        default=0,
        ge=0,
        le=MOST_DELAY_MS,
    )
    drop_connection: bool = explained(
        "close the connection instead of answering", allowed="true or false", default=False
    )
    times: int | None = explained(
        "to how many more requests, before 204 is answered again",
        allowed=f"a whole number from 0 to {_MOST_TIMES:,}, or nothing for all requests",
        default=None,
        ge=0,
        le=_MOST_TIMES,
    )

    @property
    def in_force(self) -> "Dial":
        """The dial by which the next request is answered: when this has run down, that of a new one."""
        return Dial(times=0) if self.times == 0 else self

    @property
    def answer(self) -> "Answer":
        """What the next request gets, before it is counted."""
        if self.times == 0:
            return Answer(USUAL_STATUS)
        return Answer(
            status=None if self.drop_connection else self.status,
            retry_after_seconds=None if self.drop_connection else self.retry_after_seconds,
            delay_ms=self.delay_ms,
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request got.

    Attributes:
        status: None when the connection was closed without an answer.
        delay_ms: how long it was held back.
        not_held_ms: how long it should have been held back, and was not, since too many others were.
    """

    status: int | None
    retry_after_seconds: int | None = None
    delay_ms: int = 0
    not_held_ms: int = 0

    def at_once(self) -> "Answer":
        """The same without its delay, for which there is no room."""
        return replace(self, delay_ms=0, not_held_ms=self.delay_ms)


@dataclass(frozen=True, slots=True)
class Preset:
    """A dial with a name, for a button; `meaning` is what the sender meets."""

    label: str
    meaning: str
    dial: Dial


PRESETS: Final[Mapping[str, Preset]] = MappingProxyType(
    {
        "usual": Preset("Answer 204", "a receiver that takes everything", Dial()),
        "once": Preset("Fail once", "one that recovers at once", Dial(status=500, times=1)),
        "recovering": Preset(
            "Fail 3 times", "one that takes longer to recover", Dial(status=500, times=3)
        ),
        "failing": Preset("500 always", "one that fails", Dial(status=500)),
        "busy": Preset(
            "503, Retry-After 60",
            "one that asks to be left alone for a minute",
            Dial(status=503, retry_after_seconds=60),
        ),
        "slow": Preset(
            "Slow: 12 s", "one that takes longer than the sender waits", Dial(delay_ms=12_000)
        ),
        "dropping": Preset(
            "Drop the connection", "one that dies while it answers", Dial(drop_connection=True)
        ),
        "refusing": Preset("422 always", "one that finds the event wrong", Dial(status=422)),
        "gone": Preset("410 Gone", "one that wants nothing more", Dial(status=410)),
    }
)
"""By name. The slow one takes longer than the ten seconds that the store's own output waits."""


def dial_words(dial: Dial) -> str:
    """What a dial does, as one sentence."""
    usual = answer_words(Answer(USUAL_STATUS))
    if dial.times == 0:
        return f"Every request gets {usual}: the dial has run down."
    words = answer_words(dial.answer)
    if dial.times is None:
        return f"Every request gets {words}."
    which = "The next request gets" if dial.times == 1 else f"The next {dial.times:,} requests get"
    return f"{which} {words}, and those after it {usual}."


def answer_words(answer: Answer) -> str:
    """What an answer was, as a part of a sentence."""
    words = "no answer, a closed connection" if answer.status is None else str(answer.status)
    if answer.retry_after_seconds is not None:
        words += f" with Retry-After {answer.retry_after_seconds}"
    if answer.delay_ms:
        words += f" after {answer.delay_ms / 1_000:g} s"
    if answer.not_held_ms:
        words += (
            f" at once, not after {answer.not_held_ms / 1_000:g} s, "
            "since too many others were being held back"
        )
    return words
