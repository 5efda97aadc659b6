"""A store in a process of its own, served as it always is, with a route beside it that does the least.

`python -m benchmarks.identity_server FOLDER` prints where it listens.
"""

import sys
from pathlib import Path
from typing import Any, Final

import click
import waitress
from flask import Flask, Response, jsonify, request
from sqlalchemy import bindparam, select
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from higgs_shop.app import create_app
from higgs_shop.database import Database
from higgs_shop.settings import Settings
from higgs_shop.tables import workspaces
from higgs_shop.wiring import wire
from higgs_shop.workspaces import DEFAULT_WORKSPACE

_READ: Final = select(workspaces.c.identity_strategy).where(workspaces.c.id == bindparam("id"))


def bare_route(database: Database) -> Flask:
    """JSON in, one indexed read, JSON out."""
    app = Flask("bare")

    @app.post("/read")
    def read() -> Response:
        asked = request.get_json()
        with database.read() as connection:
            found = connection.execute(_READ, {"id": DEFAULT_WORKSPACE}).scalar_one()
        return jsonify({"asked": asked, "found": found})

    return app


def main(folder: Path) -> None:
    """Serve until the process is ended."""
    settings = Settings(instance=folder, port=8000)
    parts = wire(settings)
    bare: Any = bare_route(parts.database)
    served = DispatcherMiddleware(create_app(wired=parts), {"/bare": bare})
    server: Any = waitress.create_server(
        served, host="127.0.0.1", port=0, threads=settings.threads, ident=None
    )
    click.echo(f"http://127.0.0.1:{server.effective_port}")
    sys.stdout.flush()
    server.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
