"""The steps of an identity decision in plain words, with the profiles in them linked."""

import re
from collections.abc import Collection
from typing import Any


def step_view(rule: str, text: str, mpids: Collection[int]) -> dict[str, Any]:
    """A step for the templates: its text in pieces, each plain or the MPID of a profile."""
    return {"rule": rule, "pieces": _pieces(text, {str(mpid) for mpid in mpids if mpid})}


def _pieces(text: str, mpids: Collection[str]) -> list[dict[str, str | None]]:
    """Only where a step lists profiles; anywhere else the same digits are an identity's value."""
    if not mpids:
        return [{"text": text, "mpid": None}]
    names = "|".join(map(re.escape, sorted(mpids)))
    split = re.split(rf"(?:(?<=profile )|(?<=profiles )|(?<=\d, ))({names})(?!\w)", text)
    return [
        {"text": piece, "mpid": piece if number % 2 else None}
        for number, piece in enumerate(split)
        if piece
    ]
