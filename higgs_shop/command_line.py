"""The command line: `higgs-shop`."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NoReturn

import click
from sqlalchemy import Connection

from higgs_shop import __version__, outbox, serving
from higgs_shop.background import forwarders
from higgs_shop.clock import system_clock
from higgs_shop.database import Database
from higgs_shop.identity_settings import HAS_NONE
from higgs_shop.identity_types import DEFAULT_IDS
from higgs_shop.outbox import Replay, ReplayChoice
from higgs_shop.outputs import MAIN_OUTPUT, NoSuchOutput, Output, ensure_main_output, list_outputs
from higgs_shop.replay_command import choose, moment, mpid_of, none_of, say_dead_letters, watch
from higgs_shop.setting_values import one_line
from higgs_shop.settings import Settings, SettingsError, variable
from higgs_shop.showing import span
from higgs_shop.webhook_output import schedule_after
from higgs_shop.workspaces import (
    DEFAULT_WORKSPACE,
    MOST_COUNTED,
    NONE,
    DefaultWorkspace,
    ListedWorkspace,
    NoSuchWorkspace,
    Workspace,
    WorkspaceRefused,
    add_workspace,
    as_texts,
    change_workspace,
    find_workspace,
    list_workspaces,
    listed_workspace,
    new_workspace,
    remove_workspace,
)

_LISTED_AT_ONCE: Final = 100
_ASKED_ABOVE: Final = 100
_OPTIONS: Final = {
    "api_key": ("--key", "API key.  [default: made]"),
    "api_secret": ("--secret", "API secret.  [default: made]"),
    "identity_strategy": (
        "--strategy",
        f"{', '.join(DEFAULT_IDS)}.  [default: profile_conversion]",
    ),
    "identity_priority": ("--priority", "Order of lookup.  [default: the documented one]"),
    "login_ids": ("--login-ids", "Types that name a known person.  [default: the strategy's]"),
    "unique_ids": ("--unique-ids", "Types with one holder a value.  [default: the strategy's]"),
    "immutable_ids": ("--immutable-ids", "Types that never change once set.  [default: none]"),
}


@click.group(epilog="Example: higgs-shop run --port 8010")
@click.version_option(__version__)
def main() -> None:
    """Higgs Shop: a store that shows its own customer tracking."""


@main.command(epilog="Example: higgs-shop run --port 0")
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", help="Port to listen on; 0 picks a free one.  [default: 8000]")
@click.option(
    "--tls", is_flag=True, help="Serve https, with a certificate made once and kept by the store."
)
@click.option("--workers", type=click.IntRange(1), default=1, help="Processes; one on SQLite.")
@click.option(
    "--no-forward", is_flag=True, help="Leave delivering to `higgs-shop forward` beside it."
)
def run(host: str | None, port: str | None, *, tls: bool, workers: int, no_forward: bool) -> None:
    """Serve the store, with identity service, webhook delivery and inbox."""
    settings = _settings(host=host, port=port, tls="on" if tls else None)
    if workers > 1 and settings.database_url.startswith("sqlite"):
        _stop(
            f"--workers {workers}: SQLite wants a single process; use --workers 1, or PostgreSQL "
            f"({variable('database_url')})"
        )
    _log_to_stderr()
    _stop_on_error(serving.serve, settings, workers, forwards=not no_forward)


@main.command(epilog="Example: higgs-shop forward")
def forward() -> None:
    """Deliver webhooks and make owed identity calls, beside another web server."""
    settings = _settings()
    _log_to_stderr()
    _stop_on_error(serving.forward, settings)


@main.command(epilog="Example: higgs-shop replay --since 2h --delivered-too")
@click.option("--output", "name", default=MAIN_OUTPUT, show_default=True, help="Of this output.")
@click.option(
    "--workspace", default=DEFAULT_WORKSPACE, show_default=True, help="Of this workspace."
)
@click.option("--dead", "only_dead", flag_value=True, default=True, help="Dead letters.  [default]")
@click.option(
    "--delivered-too", "only_dead", flag_value=False, help="Also what was delivered before."
)
@click.option(
    "--since",
    "from_ms",
    metavar="TIME",
    type=moment,
    help="Enqueued at or after: 2026-01-31T10:30 (UTC), or 2h, for ago.",
)
@click.option("--until", "until_ms", metavar="TIME", type=moment, help="Enqueued before.")
@click.option("--mpid", metavar="MPID", type=mpid_of, help="Of this person.")
@click.option("--webhook-id", metavar="ID", help="The one with this webhook-id.")
@click.option("--list", "only_list", is_flag=True, help="Show them, and replay nothing.")
@click.option("--yes", is_flag=True, help=f"Do not ask, as it does above {_ASKED_ABOVE}.")
@click.option(
    "--watch/--no-watch",
    "watched",
    default=None,
    help="Show the progress until all are sent.  [default: in a terminal]",
)
def replay(
    *,
    name: str,
    workspace: str,
    only_list: bool,
    yes: bool,
    watched: bool | None,
    **given: Any,
) -> None:
    """Deliver messages again, with the same ids and bytes: dead letters, or any range.

    A receiver that has one already knows it by its webhook-id. Each person's messages still go in
    order, so an old one that fails again holds up what is new of that person. The store that runs, or higgs-shop forward, sends them.
    """
    choice = ReplayChoice(**given)
    if choice.from_ms is not None and choice.until_ms is not None:
        _refuse_backward(choice.from_ms, choice.until_ms)
    with _database() as database:
        output = _output(database, workspace, name)
        if only_list:
            if not say_dead_letters(database, output, choice):
                click.echo(none_of(output, choice))
            return
        with database.read() as connection:
            found = outbox.count_chosen(connection, output, choice, most=outbox.MOST_COUNTED + 1)
            anybody = forwarders(connection, system_clock())
        if not found:
            click.echo(f"Nothing to replay. {none_of(output, choice)}")
            return
        if found > _ASKED_ABOVE and not yes:
            click.confirm(f"Deliver {_counted(found)} messages to {output.name} again?", abort=True)
        started = _start(database, output, choice)
        if output.state == "paused":
            click.echo(f"The output is paused, and sends nothing now: {output.pause_reason}")
        elif not anybody:
            click.echo("Nobody forwards now; start the store, or higgs-shop forward.")
        elif watched is None:
            watched = sys.stdout.isatty()
        if watched:
            watch(database, output, started)


def _start(database: Database, output: Output, choice: ReplayChoice) -> Replay:
    """Ask for a replay, choose what it is about, and say so."""
    gone = f"--output={output.name}: it was removed meanwhile"
    try:
        with database.write() as connection:
            started = outbox.ask_for_replay(connection, output, choice, now_ms=system_clock())
    except NoSuchOutput:
        _stop(gone)
    progress = choose(database, output, started)
    if progress is None:
        _stop(gone)
    so_far = "" if progress.is_chosen else " so far; more are still being chosen"
    longest = span(sum(schedule_after(None, _settings().webhook_retry_seconds)))
    click.echo(
        f"Replay {started.id}: {progress.total:,} messages wait to be delivered again{so_far}. "
        "One that fails again holds up what is new of its person until it is delivered or given "
        f"up, about {longest} later."
    )
    return started


@main.command(epilog="Example: higgs-shop reset --yes")
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(yes: bool) -> None:
    """Go back to a fresh store: every visitor, order, event and delivery is forgotten, and every
    workspace but the default one.
    """
    settings = _settings()
    where = settings.database_url if "@" not in settings.database_url else "the database"
    if not yes:
        click.confirm(f"Forget everything in {where}?", abort=True)
    _stop_on_error(serving.reset, settings)
    click.echo("The store is as new.")


@main.group()
def workspaces() -> None:
    """Keep several workspaces side by side: each has a key, settings and data of its own."""


def _identity_options(command: Callable[..., None]) -> Callable[..., None]:
    for field, (option, meaning) in reversed(_OPTIONS.items()):
        command = click.option(option, field, help=meaning)(command)
    return command


@workspaces.command("list", epilog="Example: higgs-shop workspaces list --secrets")
@click.option("--secrets", is_flag=True, help="Show the API secrets as well.")
def list_all(secrets: bool) -> None:
    """Show every workspace: what is in it, its strategy, its key."""
    with _database() as database, database.read() as connection:
        found = list(_all_workspaces(connection))
    rows = [("NAME", "PROFILES", "EVENTS", "STRATEGY", "KEY", "SECRET")]
    rows += [
        (
            of.workspace.id,
            _counted(of.profiles),
            _counted(of.events),
            of.workspace.identity_strategy,
            of.workspace.api_key,
            of.workspace.api_secret,
        )
        for of in found
    ]
    shown = [row if secrets else row[:-1] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        click.echo("  ".join(map(str.ljust, row, widths)).rstrip())


@workspaces.command(epilog="Example: higgs-shop workspaces add kiosk --strategy profile_link")
@click.argument("name")
@_identity_options
def add(name: str, **given: str | None) -> None:
    """Make a workspace NAME. Identity types are separated by commas; a comma alone means none."""
    with _writing(name) as connection:
        workspace = new_workspace({"id": name, **_texts(given)})
        now_ms = system_clock()
        add_workspace(connection, workspace, now_ms)
        ensure_main_output(connection, workspace.id, now_ms=now_ms)
    click.echo(f"The workspace {name} is there.")
    _show(workspace)


@workspaces.command(epilog="Example: higgs-shop workspaces change kiosk --strategy default")
@click.argument("name")
@_identity_options
def change(name: str, **given: str | None) -> None:
    """Change settings of the workspace NAME; profiles stay as they are.

    What is not given stays, but login and unique IDs that the strategy brought change with it. An
    empty text means the default. A store that runs sees the change within a second.
    """
    with _writing(name) as connection:
        before = find_workspace(connection, name)
        if before is None:
            raise NoSuchWorkspace(name)
        workspace = new_workspace({**as_texts(before), **_texts(given)})
        change_workspace(connection, workspace)
    click.echo(f"The workspace {name} is changed." if workspace != before else "Nothing changed.")
    _show(workspace)


@workspaces.command(epilog="Example: higgs-shop workspaces remove kiosk --yes")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(name: str, yes: bool) -> None:
    """Forget the workspace NAME and everything in it."""
    if not yes and name != DEFAULT_WORKSPACE:
        with _database() as database, database.read() as connection:
            found = listed_workspace(connection, name)
        if found is not None:
            click.confirm(
                f"Forget the workspace {name} with {_counted(found.profiles)} profiles, "
                f"{_counted(found.events)} events and all else in it?",
                abort=True,
            )
    with _writing(name) as connection:
        remove_workspace(connection, name)
    click.echo(f"The workspace {name} is forgotten.")


@main.group()
def db() -> None:
    """Look after the database."""


@db.command("upgrade", epilog="Example: higgs-shop db upgrade")
def upgrade_database() -> None:
    """Bring the database to the shape that this release wants. `run` does it by itself."""
    _stop_on_error(serving.upgrade, _settings())
    click.echo("The database is up to date.")


def _settings(**options: str | None) -> Settings:
    given = {variable(name): value for name, value in options.items() if value is not None}
    try:
        return Settings.load({**os.environ, **given})
    except SettingsError as error:
        _stop(str(error))


def _stop_on_error(work: Any, *arguments: Any, **options: Any) -> None:
    with _stopping():
        work(*arguments, **options)


@contextmanager
def _stopping() -> Iterator[None]:
    try:
        yield
    except (SettingsError, serving.CannotServe) as error:
        _stop(str(error))


@contextmanager
def _database() -> Iterator[Database]:
    with _stopping(), serving.opened(_settings()) as database:
        yield database


@contextmanager
def _writing(name: str) -> Iterator[Connection]:
    """A write transaction about the workspace of this name; what goes wrong ends the command."""
    try:
        with _database() as database, database.write() as connection:
            yield connection
    except WorkspaceRefused as refused:
        spelt = {"id": "NAME", **{field: option for field, (option, _) in _OPTIONS.items()}}
        lines = [
            f"{spelt[each.field]}={each.shown}: {each.reason}"
            + (f" ({spelt[each.field]} {NONE})" if each.reason == HAS_NONE else "")
            for each in refused.mistakes
        ]
        _stop("\n".join(lines))
    except NoSuchWorkspace:
        _stop(f"NAME={one_line(name)}: no such workspace; see higgs-shop workspaces list")
    except DefaultWorkspace:
        _stop(
            f"NAME={name}: this one takes its settings from the environment "
            f"({variable('idsync_key')}, {variable('identity_strategy')}, …) and cannot be removed; "
            "set those and start the store again, or begin anew with higgs-shop reset"
        )


def _output(database: Database, workspace: str, name: str) -> Output:
    with database.read() as connection:
        if find_workspace(connection, workspace) is None:
            _stop(
                f"--workspace={one_line(workspace)}: no such workspace; "
                "see higgs-shop workspaces list"
            )
        known = {output.name: output for output in list_outputs(connection, workspace)}
    if name not in known:
        _stop(
            f"--output={one_line(name)}: no such output in {workspace}; there is {', '.join(known)}"
        )
    return known[name]


def _refuse_backward(from_ms: int, until_ms: int) -> None:
    if until_ms <= from_ms:
        _stop(
            "--until is not after --since, so nothing lies between them; swap them (2h is two hours ago)"
        )


def _texts(given: dict[str, str | None]) -> dict[str, str]:
    return {field: text for field, text in given.items() if text is not None}


def _all_workspaces(connection: Connection) -> Iterator[ListedWorkspace]:
    after = ""
    while found := list_workspaces(connection, after=after, most=_LISTED_AT_ONCE):
        yield from found
        after = found[-1].workspace.id


def _counted(number: int) -> str:
    return f"{MOST_COUNTED:,}+" if number > MOST_COUNTED else f"{number:,}"


def _show(workspace: Workspace) -> None:
    for what, value in (
        ("key", workspace.api_key),
        ("secret", workspace.api_secret),
        ("strategy", workspace.identity_strategy),
        ("priority", ",".join(workspace.identity_priority)),
        ("login IDs", ",".join(workspace.login_ids) or "none"),
        ("unique IDs", ",".join(workspace.unique_ids) or "none"),
        ("immutable IDs", ",".join(workspace.immutable_ids) or "none"),
    ):
        click.echo(f"  {what:13}  {value}")


def _stop(message: str) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(2)


def _log_to_stderr() -> None:
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # It warns of every request that waits a moment for a thread.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
