"""The built-in webhook receiver, request by request."""

from typing import Any, Final

from flask import Blueprint, abort, render_template, request, url_for

from higgs_shop.idsync_service import parse_mpid
from higgs_shop.inbox import InboxRequest, get_request, keep, list_requests
from higgs_shop.pages.observers import observers_only
from higgs_shop.pages.parts import parts
from higgs_shop.pages.short import short_mpid

bp = Blueprint("inbox", __name__)
receiver = Blueprint("inbox_receiver", __name__)

_MAX_BODY_BYTES: Final = 256 * 1024
_PAGE: Final = 50
_NUMBER: Final = "int(max=9007199254740991)"

bp.before_request(observers_only)


@bp.get("/inbox")
def show() -> str:
    """The newest requests."""
    return _render(selected=None)


@bp.get(f"/inbox/requests/<{_NUMBER}:number>")
def show_request(number: int) -> str:
    """One request: headers, body, and whether its signature holds."""
    with parts().database.read() as connection:
        selected = get_request(
            connection, parts().workspace_id, parts().secrets.inbox_token, number
        )
    if selected is None:
        abort(404)
    return _render(selected=selected)


@receiver.post("/inbox/<token>")
def receive(token: str) -> tuple[str, int]:
    """Keep what was posted. Any sender may post who knows the token."""
    if token != parts().secrets.inbox_token:
        abort(404)
    request.max_content_length = _MAX_BODY_BYTES
    body = request.get_data()
    with parts().database.write() as connection:
        keep(
            connection,
            workspace_id=parts().workspace_id,
            token=token,
            method=request.method,
            path=request.full_path.rstrip("?"),
            headers=list(request.headers.items()),
            body=body,
            verify=parts().verify_signature,
            now_ms=parts().clock(),
        )
    return "", 204


def _render(selected: InboxRequest | None) -> str:
    before = request.args.get("before", type=int)
    if before is not None and not 0 < before < 2**53:
        before = None
    with parts().database.read() as connection:
        webhook_urls = parts().webhook_urls(connection)
        found = list_requests(
            connection,
            parts().workspace_id,
            parts().secrets.inbox_token,
            before_id=before,
            most=_PAGE,
        )
    older_url = url_for("inbox.show", before=found[-1].id) if len(found) == _PAGE else None
    return render_template(
        "pages/inbox.html",
        requests=[_row(kept) for kept in found],
        selected=_row(selected) if selected else None,
        address=parts().inbox_address,
        webhook_urls=webhook_urls,
        older_url=older_url,
    )


def _row(kept: InboxRequest) -> dict[str, Any]:
    summary = kept.summary
    return {
        "id": kept.id,
        "received_at_ms": kept.received_at_ms,
        "event_type": summary.event_type if summary else None,
        "name": summary.name if summary else None,
        "mpid": _profile_mpid(summary.mpid) if summary and summary.mpid else None,
        "mpid_short": short_mpid(summary.mpid) if summary and summary.mpid else None,
        "sequence": summary.sequence if summary else None,
        "signature": kept.signature,
        "signature_reason": kept.signature_reason,
        "content_length": len(kept.body),
        "method": kept.method,
        "path": kept.path,
        "headers": kept.headers,
        "body_text": kept.body_text,
        "body_json": kept.json,
    }


def _profile_mpid(text: str) -> str | None:
    """An MPID that may have a page; anybody may post here, and what they say is no fact yet."""
    try:
        return str(parse_mpid(text))
    except ValueError:
        return None
