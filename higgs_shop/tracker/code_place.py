"""Which line logged an event."""

import functools
import inspect
from pathlib import Path
from types import FrameType

TRACKS_FOR_ITS_CALLER = True

_PACKAGE = Path(__file__).parent.parent


def code_place() -> str:
    """The line that logged the event, "package/file.py:41".

    Modules that only pass events on say so with a TRACKS_FOR_ITS_CALLER of their own.
    """
    frame: FrameType | None = inspect.currentframe()
    while frame is not None and "TRACKS_FOR_ITS_CALLER" in frame.f_globals:
        frame = frame.f_back
    if frame is None:
        return ""
    return f"{_short_name(frame.f_code.co_filename)}:{frame.f_lineno}"


@functools.cache
def _short_name(file_name: str) -> str:
    place = Path(file_name)
    if not place.is_relative_to(_PACKAGE):
        return place.name
    return place.relative_to(_PACKAGE.parent).as_posix()
