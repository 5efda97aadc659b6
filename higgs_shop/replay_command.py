"""What `higgs-shop replay` reads and says: times and MPIDs, dead letters, how far a replay is."""

import re
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import click

from higgs_shop import outbox
from higgs_shop.clock import system_clock
from higgs_shop.database import Database
from higgs_shop.identity_types import parse_mpid
from higgs_shop.outbox import ListedMessage, Progress, Replay, ReplayChoice
from higgs_shop.outputs import Output
from higgs_shop.setting_values import one_line

_LOOK_EVERY_SECONDS: Final = 0.5
_LISTED_AT_ONCE: Final = 100
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(text: str) -> int:
    """A time in ISO 8601, in UTC if it names no zone; or how long ago, as `2h`.

    Returns: UTC Unix milliseconds. Raises: click.BadParameter.
    """
    ago = re.fullmatch(r"([0-9]{1,6})([smhdw])", text)
    try:
        if ago is not None:
            wait = timedelta(**{_UNITS[ago[2]]: int(ago[1])})
            return system_clock() - wait // timedelta(milliseconds=1)
        at = datetime.fromisoformat(text)
        return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{one_line(text)}: use a time as 2026-01-31T10:30, or how long ago, as 2h"
        ) from None


def mpid_of(text: str) -> int:
    """An MPID as it is shown everywhere. Raises: click.BadParameter."""
    try:
        return parse_mpid(text)
    except ValueError as error:
        raise click.BadParameter(f"{one_line(text)}: {error}") from None


def say_dead_letters(database: Database, output: Output, choice: ReplayChoice) -> int:
    """List what a replay of this choice would be about, newest first, with what was answered last.

    Returns: how many there are.
    """
    said = 0
    for message, reply in _dead_letters(database, output, choice):
        said += 1
        closed = datetime.fromtimestamp((message.closed_at_ms or 0) / 1_000, UTC)
        event = message.name or message.event_type or "no event"
        click.echo(
            f"{message.webhook_id}  MPID {message.mpid} #{message.sequence}  {event}  "
            f"{message.state} {closed:%Y-%m-%dT%H:%M:%SZ} after {message.attempts} "
            f"{'attempt' if message.attempts == 1 else 'attempts'}"
        )
        status = "" if message.last_status is None else f"{message.last_status} "
        click.echo(f"    {status}{message.last_error or _printable(reply)}".rstrip())
    return said


def none_of(output: Output, choice: ReplayChoice) -> str:
    """That an output has nothing of this choice, as a sentence that repeats what was asked for."""
    what = "dead letter" if choice.only_dead else "delivered or dead message"
    asked = [
        *([f"with the id {one_line(choice.webhook_id)}"] if choice.webhook_id is not None else []),
        *([f"of the person {choice.mpid}"] if choice.mpid is not None else []),
        *(["of that time"] if choice.from_ms is not None or choice.until_ms is not None else []),
    ]
    hint = "" if not choice.only_dead else "; --delivered-too looks at what was delivered as well"
    return f"The output {output.name} has no {' '.join([what, *asked])}{hint}."


def _dead_letters(
    database: Database, output: Output, choice: ReplayChoice
) -> Iterator[tuple[ListedMessage, str]]:
    """Each with what its receiver answered last, at most 2,048 characters."""
    before_id = None
    while True:
        with database.read() as connection:
            found = outbox.list_chosen(
                connection, output, choice, before_id=before_id, most=_LISTED_AT_ONCE
            )
            replies = [
                [each.answer for each in outbox.list_attempts(connection, output, message.id)][-1:]
                for message in found
            ]
        yield from zip(found, ("".join(reply) for reply in replies), strict=True)
        if len(found) < _LISTED_AT_ONCE:
            return
        before_id = found[-1].id


def _printable(text: str) -> str:
    """On one line, with nothing in it that moves a terminal's cursor."""
    line = " ".join(text.split())
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in line)


def choose(database: Database, output: Output, replay: Replay) -> Progress | None:
    """Choose all that a replay is about, and say meanwhile how many that is so far.

    Whoever forwards goes on with the rest if this is ended by Ctrl-C, or killed.

    Returns: how far it is; None when the output is gone.
    """
    try:
        while outbox.choose_more(database, output, replay.id, now_ms=system_clock()):
            seen = _progress(database, output, replay)
            if seen is not None and sys.stderr.isatty():
                click.echo(f"\rStill choosing: {seen.total:,} so far ", nl=False, err=True)
    except KeyboardInterrupt:
        click.echo("\nWhoever forwards goes on with it without this command.")
    return _progress(database, output, replay)


def watch(database: Database, output: Output, replay: Replay) -> None:
    """Show how far it is until nothing waits any more, or until Ctrl-C, which leaves it running."""
    seen = _progress(database, output, replay)
    try:
        with click.progressbar(
            length=max(seen.total if seen else 0, 1), label="Delivering", item_show_func=_in_words
        ) as bar:
            while seen is not None:
                bar.update(seen.total - seen.waiting - bar.pos, seen)
                if seen.waiting == 0:
                    break
                time.sleep(_LOOK_EVERY_SECONDS)
                seen = _progress(database, output, replay)
    except KeyboardInterrupt:
        click.echo("\nThe replay goes on without this command.")
        return
    gone = "the output is gone, and its messages with it"
    click.echo(f"Replay {replay.id}: {_in_words(seen) or gone}.")


def _progress(database: Database, output: Output, replay: Replay) -> Progress | None:
    with database.read() as connection:
        return outbox.progress_of(connection, output, replay.id)


def _in_words(progress: Progress | None) -> str | None:
    if progress is None:
        return None
    elsewhere = progress.total - progress.delivered - progress.dead - progress.waiting
    words = (
        f"{progress.delivered:,} delivered, {progress.dead:,} dead, {progress.waiting:,} waiting"
    )
    return (
        words
        if not elsewhere
        else f"{words}, {elsewhere:,} taken over by a later replay or withdrawn"
    )
