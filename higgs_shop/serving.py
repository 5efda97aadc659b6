"""Runs a store: as one process that does everything, as several web processes, or as the worker
beside another web server.
"""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Final

import click
import waitress
from sqlalchemy.exc import SQLAlchemyError

from higgs_shop.app import create_app
from higgs_shop.clock import system_clock
from higgs_shop.database import STARTING_TIMEOUT_MS, Database, DatabaseError
from higgs_shop.furnishing import furnish
from higgs_shop.migrations import upgrade as upgrade_tables
from higgs_shop.settings import Settings
from higgs_shop.tables import heartbeats, metadata
from higgs_shop.tls import TlsServer
from higgs_shop.wiring import Parts, wire
from higgs_shop.workspaces import DEFAULT_WORKSPACE, find_workspace

_BACKLOG: Final = 256

_logger = logging.getLogger(__name__)


class CannotServe(Exception):
    """The store cannot start; the message is one line that says why and what to do."""


def serve(settings: Settings, workers: int = 1, *, forwards: bool = True) -> None:
    """Serve until the process is told to stop. What is in flight is finished first.

    Args:
        workers: how many processes.
        forwards: whether they deliver, and make owed identity calls, or leave that to `forward`.
    Raises: CannotServe, SettingsError.
    """
    with _listen(settings) as listening:
        settings = settings.model_copy(update={"port": listening.getsockname()[1]})
        parts = _wire(settings)
        told_to_stop = threading.Event()
        _on_stop(told_to_stop.set)
        _announce(parts)
        if workers > 1:
            parts.close()
            _fork(settings, listening, workers, told_to_stop, forwards=forwards)
        else:
            _serve_here(parts, listening, told_to_stop, forwards=forwards)


def forward(settings: Settings) -> None:
    """Deliver, and make owed identity calls, until the process is told to stop."""
    parts = _wire(settings)
    stopping = threading.Event()
    _on_stop(stopping.set)
    parts.start_background_work()
    for name, url in _webhooks(parts).items():
        click.echo(f"Forwarding to {url} ({name})")
    stopping.wait()
    parts.close()


def reset(settings: Settings) -> None:
    """A fresh store in one transaction, also under one that runs.

    The generated secrets stay, and so do addresses and signatures. So does who forwards: those
    processes go on.
    """
    database = _open(settings)
    with database.write() as connection:
        for table in reversed(metadata.sorted_tables):
            if table is not heartbeats:
                connection.execute(table.delete())
        furnish(connection, settings, system_clock())
    database.close()


def upgrade(settings: Settings) -> None:
    """Bring the database to the shape that this release wants."""
    _open(settings).close()


@contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    """The database of a store that may run at the same time, furnished if it never ran before.

    Raises: CannotServe, also for what the database does later on. SettingsError.
    """
    database = _open(settings)
    try:
        with database.write() as connection:
            # What is there already is left to the store, which may have other settings.
            if find_workspace(connection, DEFAULT_WORKSPACE) is None:
                furnish(connection, settings, system_clock())
        yield database
    except (DatabaseError, SQLAlchemyError) as error:
        raise CannotServe(_why_no_database(settings, error)) from error
    finally:
        database.close()


def _open(settings: Settings) -> Database:
    try:
        settings.instance.mkdir(parents=True, exist_ok=True)
        database = Database(settings.database_url, busy_timeout_ms=STARTING_TIMEOUT_MS)
        upgrade_tables(database)
    except (OSError, DatabaseError, SQLAlchemyError) as error:
        raise CannotServe(_why_no_database(settings, error)) from error
    return database


def _wire(settings: Settings) -> Parts:
    try:
        return wire(settings, clock=system_clock)
    except (OSError, DatabaseError, SQLAlchemyError) as error:
        raise CannotServe(_why_no_database(settings, error)) from error


def _why_no_database(settings: Settings, error: Exception) -> str:
    reason = str(getattr(error, "orig", error)).strip().splitlines()
    shown = Database(settings.database_url).url.render_as_string(hide_password=True)
    return f"the database {shown} cannot be used: {reason[0] if reason else type(error).__name__}"


def _listen(settings: Settings) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(_BACKLOG)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        raise CannotServe(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}; "
            "choose another with --port (make run PORT=…), or --port 0 for any free one"
        ) from error
    return listening


def _serve_here(
    parts: Parts, listening: socket.socket, told_to_stop: threading.Event, *, forwards: bool
) -> None:
    app = create_app(wired=parts)
    server = _server(app, parts, listening)
    if forwards:
        parts.start_background_work()
    else:
        parts.start_watching()
    try:
        _on_stop(lambda: _leave(parts))
        if not told_to_stop.is_set():
            server.run()  # until SystemExit; requests in flight are then finished
    finally:
        _on_stop(told_to_stop.set)  # once is enough: closing is not interrupted
        server.close()
        parts.close()


def _leave(parts: Parts) -> None:
    # Requests in flight are finished, and nobody has to wait for those that only wait themselves.
    parts.held_answers.close()
    sys.exit()


def _server(app: Any, parts: Parts, listening: socket.socket) -> Any:
    threads = parts.settings.threads
    if parts.certificate is None:
        return waitress.create_server(app, sockets=[listening], threads=threads, ident=None)
    context = parts.certificate.server_context()
    return TlsServer(app, listening, context, threads=threads, ident=None)


def _fork(
    settings: Settings,
    listening: socket.socket,
    workers: int,
    told_to_stop: threading.Event,
    *,
    forwards: bool,
) -> None:
    """Several processes on one socket. When one of them dies, all stop: whoever started the store
    hears of it. When this one is killed, they notice by its end of a pipe, and stop too.
    """
    watched, held = os.pipe()

    def work() -> None:
        os.close(held)
        threading.Thread(target=_stop_with_parent, args=(watched,), daemon=True).start()
        _serve_here(_wire(settings), listening, told_to_stop, forwards=forwards)

    children = [_spawn(work) for _ in range(workers)]
    _on_stop(lambda: _tell_to_stop(children))
    if told_to_stop.is_set():
        _tell_to_stop(children)
    _, status = os.wait()
    _on_stop(told_to_stop.set)
    _tell_to_stop(children)
    for child in children:
        with suppress(ChildProcessError):
            os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))


def _spawn(work: Callable[[], None]) -> int:
    child = os.fork()
    if child:
        return child
    exit_code = 1
    try:
        with suppress(SystemExit):
            work()
        exit_code = 0
    except Exception:
        _logger.exception("this process cannot serve")
    os._exit(exit_code)


def _stop_with_parent(watched: int) -> None:
    os.read(watched, 1)  # nothing is ever written: it ends when the parent does
    os.kill(os.getpid(), signal.SIGTERM)


def _tell_to_stop(children: list[int]) -> None:
    for child in children:
        # Some may have ended already.
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)


def _on_stop(stop: Callable[[], object]) -> None:
    # A second signal comes in the middle of the first one's handler, and would wait for ever for a lock
    # that this one holds.
    is_stopping = False

    def handle(_signal: int, _frame: FrameType | None) -> None:
        nonlocal is_stopping
        if is_stopping:
            return
        is_stopping = True
        try:
            stop()
        finally:
            is_stopping = False

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)


def _webhooks(parts: Parts) -> dict[str, str]:
    with parts.database.read() as connection:
        return parts.own_inbox.webhooks(connection)


def _announce(parts: Parts) -> None:
    address = parts.inbox_address.partition("/inbox/")[0]
    click.echo(f"Higgs Shop   {address}/")
    click.echo(f"X-ray        {address}/x-ray")
    click.echo(f"Inbox        {address}/inbox")
    click.echo(f"Identity     {parts.settings.idsync_url or f'{address}/identity/v1/ (embedded)'}")
    for name, url in _webhooks(parts).items():
        click.echo(f"Webhook      {url} ({name})")
    if parts.certificate is not None:
        click.echo(f"Certificate  {parts.certificate.file}")
        click.echo(f"  SHA-256    {parts.certificate.fingerprint}")
    click.echo("Stop it with Ctrl-C.")
    sys.stdout.flush()
