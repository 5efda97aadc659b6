"""Where other apps send their events, and what of it could not be taken in: in the shop's workspace, or the one
that `?workspace=` names.
"""

from typing import Any, Final

from flask import Blueprint, render_template, request

from higgs_shop.asking.looked_into import choice_of, url_within, workspace_or_404
from higgs_shop.asking.observers import observers_only
from higgs_shop.asking.parts import parts
from higgs_shop.intake import Quarantined, newest

bp = Blueprint("intake", __name__)
bp.before_request(observers_only)

_PAGE: Final = 25


@bp.get("/intake")
def show() -> str:
    """How to send events here, and the newest batches in quarantine."""
    before = request.args.get("before", type=int)
    if before is not None and not 0 < before < 2**53:
        before = None
    with parts().database.read() as connection:
        workspace = workspace_or_404(connection)
        choice = choice_of(connection, workspace, "intake.show")
        found = newest(connection, workspace.id, before_id=before, most=_PAGE + 1)
    shown = found[:_PAGE]
    return render_template(
        "pages/intake.html",
        key=workspace.api_key,
        quarantined=[_row(kept) for kept in shown],
        older_url=url_within("intake.show", before=shown[-1].id) if len(found) > _PAGE else None,
        **choice,
    )


def _row(kept: Quarantined) -> dict[str, Any]:
    return {
        "id": kept.id,
        "channel": kept.channel,
        "faults": kept.faults,
        "kept_events": kept.kept_events,
        "content_length": len(kept.body),
        "body_text": kept.body_text,
        "received_at_ms": kept.received_at_ms,
        "times": kept.times,
        "last_channel": kept.last_channel,
        "last_received_at_ms": kept.last_received_at_ms,
    }
