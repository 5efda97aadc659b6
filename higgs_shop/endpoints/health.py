"""Alive, and ready: for whoever watches the process."""

from typing import Any, Final

from flask import Blueprint
from sqlalchemy import Connection

from higgs_shop import outbox
from higgs_shop.asking.parts import parts
from higgs_shop.background import forwarders
from higgs_shop.database import DatabaseError
from higgs_shop.outputs import Output, list_outputs
from higgs_shop.showing import standing_of
from higgs_shop.version import __version__

bp = Blueprint("health", __name__)

_MOST_IN_TROUBLE: Final = 20


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
                _told(connection, output, is_silent=not beats, now_ms=now_ms)
                for output in list_outputs(connection, parts().workspace_id)
            ]
            everywhere = _everywhere(connection, now_ms)
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
        "all_workspaces": everywhere,
        "counted_up_to": outbox.MOST_COUNTED,
    }, 200


def _everywhere(connection: Connection, now_ms: int) -> dict[str, Any]:
    """The same of all workspaces together, and which outputs to look at.

    That nobody forwards is said once, and not of each.
    """
    in_all = outbox.over_all(connection)
    in_trouble = outbox.outputs_in_trouble(connection, now_ms=now_ms, most=outbox.MOST_COUNTED + 1)
    return {
        "waiting_messages": in_all.waiting,
        "oldest_waiting_age_ms": _age_ms(in_all.oldest_waiting_ms, now_ms),
        "given_up_total": in_all.given_up,
        "outputs_in_trouble": [
            {
                "workspace": output.workspace_id,
                **_told(connection, output, is_silent=False, now_ms=now_ms),
            }
            for output in in_trouble[:_MOST_IN_TROUBLE]
        ],
        "more_outputs_in_trouble": max(0, len(in_trouble) - _MOST_IN_TROUBLE),
    }


def _told(
    connection: Connection, output: Output, *, is_silent: bool, now_ms: int
) -> dict[str, Any]:
    standing = standing_of(connection, output, is_silent=is_silent, now_ms=now_ms)
    counts = standing.counts
    return {
        "name": output.name,
        "state": standing.state,
        "pause_reason": output.pause_reason,
        "waiting": counts.waiting,
        "oldest_waiting_age_ms": _age_ms(counts.oldest_waiting_ms, now_ms),
        "dead": counts.dead,
        "given_up_total": outbox.given_up_total(connection, output),
        "is_full": output.is_full,
        "unreachable_for_ms": _age_ms(output.unreachable_since_ms, now_ms),
    }


def _age_ms(since_ms: int | None, now_ms: int) -> int | None:
    return None if since_ms is None else max(0, now_ms - since_ms)
