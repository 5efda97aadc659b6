"""Alive, and ready: for whoever watches the process."""

from typing import Any

from flask import Blueprint
from sqlalchemy import select, text

from higgs_shop import outbox
from higgs_shop.database import DatabaseError
from higgs_shop.pages.parts import parts
from higgs_shop.tables import heartbeats
from higgs_shop.version import __version__

bp = Blueprint("health", __name__)

_SILENT_AFTER_MS = 30_000


@bp.get("/healthz")
def alive() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok", "version": __version__}


@bp.get("/readyz")
def ready() -> tuple[dict[str, Any], int]:
    """The database answers; and whether anybody delivers what is logged."""
    try:
        with parts().database.read() as connection:
            connection.execute(text("SELECT 1"))
            waiting = outbox.backlog(connection, parts().workspace_id)
            beat_at_ms = connection.scalar(
                select(heartbeats.c.beat_at_ms).where(heartbeats.c.worker == "forwarder")
            )
    except DatabaseError:
        return {"status": "unavailable", "database": "unavailable"}, 503
    forwards = beat_at_ms is not None and parts().clock() - beat_at_ms < _SILENT_AFTER_MS
    return {
        "status": "ready",
        "database": "ok",
        "forwarder": "running" if forwards else "silent",
        "waiting_messages": waiting.waiting,
    }, 200
