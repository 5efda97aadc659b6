"""The command line: `higgs-shop`."""

import logging
import os
import sys
from typing import Any, NoReturn

import click

from higgs_shop import __version__, serving
from higgs_shop.settings import Settings, SettingsError, variable


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
def run(host: str | None, port: str | None, tls: bool, workers: int) -> None:
    """Serve the store, with identity service, webhook delivery and inbox."""
    settings = _settings(host=host, port=port, tls="on" if tls else None)
    if workers > 1 and settings.database_url.startswith("sqlite"):
        _stop(
            f"--workers {workers}: SQLite wants a single process; use --workers 1, or PostgreSQL "
            f"({variable('database_url')})"
        )
    _log_to_stderr()
    _stop_on_error(serving.serve, settings, workers)


@main.command(epilog="Example: higgs-shop forward")
def forward() -> None:
    """Deliver webhooks and make owed identity calls, beside another web server."""
    settings = _settings()
    _log_to_stderr()
    _stop_on_error(serving.forward, settings)


@main.command(epilog="Example: higgs-shop reset --yes")
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(yes: bool) -> None:
    """Go back to a fresh store: every visitor, order, event and delivery is forgotten."""
    settings = _settings()
    where = settings.database_url if "@" not in settings.database_url else "the database"
    if not yes:
        click.confirm(f"Forget everything in {where}?", abort=True)
    _stop_on_error(serving.reset, settings)
    click.echo("The store is as new.")


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


def _stop_on_error(work: Any, *arguments: Any) -> None:
    try:
        work(*arguments)
    except (SettingsError, serving.CannotServe) as error:
        _stop(str(error))


def _stop(message: str) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(2)


def _log_to_stderr() -> None:
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # It warns of every request that waits a moment for a thread.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
