"""Alive, and ready: for whoever watches the process."""

from typing import Any

from flask import Blueprint

from higgs_shop import outbox
from higgs_shop.asking.parts import parts
from higgs_shop.background import forwarders
from higgs_shop.database import DatabaseError
from higgs_shop.outputs import Output, list_outputs
from higgs_shop.showing import OutputStanding, standing_of
from higgs_shop.version import __version__

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def alive() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok", "version": __version__}


@bp.get("/readyz")
def ready() -> tuple[dict[str, Any], int]:
    """The database answers; whether anybody delivers what is logged, and what waits to be."""
    now_ms = parts().clock()
    try:
        with parts().database.read() as connection:
            waiting = outbox.backlog(connection, parts().workspace_id).waiting
            beats = forwarders(connection, now_ms)
            found = [
                _told(
                    output,
                    standing_of(connection, output, is_silent=not beats, now_ms=now_ms),
                    now_ms,
                )
                for output in list_outputs(connection, parts().workspace_id)
            ]
    except DatabaseError:
        return {"status": "unavailable", "database": "unavailable"}, 503
    return {
        "status": "ready",
        "database": "ok",
        "forwarder": "running" if beats else "silent",
        "forwarders": [
            {"worker": worker, "silent_for_ms": max(0, now_ms - beat_at_ms)}
            for worker, beat_at_ms in beats.items()
        ],
        "waiting_messages": waiting,
        "outputs": found,
        "counted_up_to": outbox.MOST_COUNTED,
    }, 200


def _told(output: Output, standing: OutputStanding, now_ms: int) -> dict[str, Any]:
    counts = standing.counts
    since_ms = counts.oldest_waiting_ms
    return {
        "name": output.name,
        "state": standing.state,
        "pause_reason": output.pause_reason,
        "waiting": counts.waiting,
        "oldest_waiting_age_ms": None if since_ms is None else max(0, now_ms - since_ms),
        "dead": counts.dead,
        "is_full": output.is_full,
    }
