"""What a dial does to the next request, and how that is said."""

import pytest
from pydantic import ValidationError

from higgs_shop.inbox import PRESETS, Answer, Dial, answer_words, dial_words


@pytest.mark.parametrize(
    ("dial", "answer", "words"),
    [
        pytest.param(Dial(), Answer(204), "Every request gets 204.", id="as it comes"),
        pytest.param(
            Dial(status=503, retry_after_seconds=60),
            Answer(503, 60),
            "Every request gets 503 with Retry-After 60.",
            id="busy",
        ),
        pytest.param(
            Dial(status=500, times=3),
            Answer(500),
            "The next 3 requests get 500, and those after it 204.",
            id="three times",
        ),
        pytest.param(
            Dial(status=500, times=1),
            Answer(500),
            "The next request gets 500, and those after it 204.",
            id="once",
        ),
        pytest.param(
            Dial(status=500, delay_ms=50, times=0),
            Answer(204),
            "Every request gets 204: the dial has run down.",
            id="run down",
        ),
        pytest.param(
            Dial(delay_ms=1_500),
            Answer(204, delay_ms=1_500),
            "Every request gets 204 after 1.5 s.",
            id="slow",
        ),
        pytest.param(
            Dial(status=503, retry_after_seconds=1, drop_connection=True),
            Answer(None),
            "Every request gets no answer, a closed connection.",
            id="dropping, whatever else is set",
        ),
    ],
)
def test_a_dial_gives_the_next_answer_and_says_so(dial: Dial, answer: Answer, words: str) -> None:
    assert dial.answer == answer
    assert dial_words(dial) == words


def test_an_answer_that_found_no_room_to_be_held_back_says_so() -> None:
    answer = Answer(503, 5, delay_ms=12_000).at_once()

    assert answer == Answer(503, 5, delay_ms=0, not_held_ms=12_000)
    assert answer_words(answer) == (
        "503 with Retry-After 5 at once, not after 12 s, since too many others were being held back"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": 199},
        {"status": 600},
        {"status": "no number"},
        {"retry_after_seconds": -1},
        {"delay_ms": 30_001},
        {"times": 1_001},
        {"times": -1},
        {"drop_connection": "perhaps"},
        {"colour": "red"},
    ],
)
def test_what_is_beyond_the_bounds_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Dial.model_validate(wrong)


def test_every_preset_does_what_its_button_says() -> None:
    said = {name: (preset.label, dial_words(preset.dial)) for name, preset in PRESETS.items()}

    assert said == {
        "usual": ("Answer 204", "Every request gets 204."),
        "once": ("Fail once", "The next request gets 500, and those after it 204."),
        "failing": ("500 always", "Every request gets 500."),
        "busy": ("503, Retry-After 60", "Every request gets 503 with Retry-After 60."),
        "recovering": ("Fail 3 times", "The next 3 requests get 500, and those after it 204."),
        "slow": ("Slow: 12 s", "Every request gets 204 after 12 s."),
        "dropping": ("Drop the connection", "Every request gets no answer, a closed connection."),
        "refusing": ("422 always", "Every request gets 422."),
        "gone": ("410 Gone", "Every request gets 410."),
    }
