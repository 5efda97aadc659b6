"""Decision steps in words: MPIDs are linked where they name a profile, and nowhere else."""

import pytest

from higgs_shop.showing import step_view


def linked(text: str, *mpids: int) -> list[str]:
    """The pieces of a text, those that are linked in brackets."""
    pieces = step_view("rule", text, mpids)["pieces"]
    return [f"[{piece['mpid']}]" if piece["mpid"] else piece["text"] for piece in pieces]


@pytest.mark.parametrize(
    ("text", "mpids", "expected"),
    [
        pytest.param("a new profile", (), ["a new profile"], id="none"),
        pytest.param("profile 12 is new", (12,), ["profile ", "[12]", " is new"], id="one"),
        pytest.param(
            "profiles 1, 12, 123 and 2 more set aside: why",
            (1, 12, 123),
            ["profiles ", "[1]", ", ", "[12]", ", ", "[123]", " and 2 more set aside: why"],
            id="one_inside_another",
        ),
        pytest.param("profile -12, profile 12", (-12,), ["profile ", "[-12]", ", profile 12"], id="negative"),
        pytest.param("other “12”: profile 12", (12,), ["other “12”: profile ", "[12]"], id="quoted"),
        pytest.param("email: 12@x.example was added", (12,), ["email: 12@x.example was added"], id="in_a_value"),
        pytest.param("profile 0 is new", (0,), ["profile 0 is new"], id="nobody_yet"),
    ],
)  # fmt: skip
def test_only_profiles_are_linked(text: str, mpids: tuple[int, ...], expected: list[str]) -> None:
    assert linked(text, *mpids) == expected
