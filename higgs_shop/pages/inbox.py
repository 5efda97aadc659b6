"""The built-in webhook receiver, request by request, and the other inboxes beside it.

It logs nothing. What is changed here is in `inbox_changes`; what comes in, in `inbox_receiver`. The
dial and the list are also answered alone, for live.js, which keeps them true.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from flask import Blueprint, render_template, request, session, url_for
from sqlalchemy import Connection

from higgs_shop import outbox
from higgs_shop.asking.asked_inbox import (
    OWN,
    address_of,
    curl_of,
    name_of,
    request_or_404,
    session_or_404,
)
from higgs_shop.asking.observers import observers_only
from higgs_shop.asking.parts import parts
from higgs_shop.idsync_service import parse_mpid
from higgs_shop.inbox import (
    MOST_SEARCHED_BYTES,
    InboxRequest,
    InboxSession,
    Wanted,
    answer_words,
    count_requests,
    dial_words,
    event_types,
    list_requests,
    list_sessions,
)
from higgs_shop.outputs import list_outputs
from higgs_shop.pages.forms import DialForm, InboxSessionForm, SigningSecretForm
from higgs_shop.showing import counts_view, presets_of, short_mpid

bp = Blueprint("inbox", __name__)
bp.before_request(observers_only)

NUMBER: Final = "int(max=9007199254740991)"
SIGNATURES: Final = ("valid", "invalid", "missing", "unchecked")

_PAGE: Final = 50
_MOST_TYPED: Final = 200
_SIGNED_HEADERS: Final = ("webhook-id", "webhook-timestamp", "webhook-signature")


@bp.get("/inbox", defaults={"name": OWN})
@bp.get("/inbox/sessions/<name>")
def show(name: str) -> str:
    """The newest requests of an inbox, or those that are looked for; and its dial."""
    shown = session_or_404(name)
    return _part(shown) or render_inbox(shown)


@bp.get(f"/inbox/requests/<{NUMBER}:number>", defaults={"name": OWN})
@bp.get(f"/inbox/sessions/<name>/requests/<{NUMBER}:number>")
def show_request(name: str, number: int) -> str:
    """One request: headers, body, what it was answered, and whether its signature holds."""
    shown = session_or_404(name)
    selected = request_or_404(shown, number)
    return _part(shown, selected) or render_inbox(shown, selected=selected)


@bp.get("/inbox/sessions")
def show_sessions() -> str:
    """All inboxes, and the form for another one."""
    return render_sessions(InboxSessionForm(formdata=None))


def render_inbox(
    shown: InboxSession,
    *,
    selected: InboxRequest | None = None,
    dial_form: DialForm | None = None,
    secret_form: SigningSecretForm | None = None,
) -> str:
    """The page of one inbox; with a form that was filled in wrong, or without."""
    session.modified = True  # the forms' CSRF token wants a session that is kept
    wanted = _wanted()
    with parts().database.read() as connection:
        listed = _listed(connection, shown, wanted, selected)
        webhooks = parts().own_inbox.webhooks(connection)
        senders = _senders(connection, address_of(shown.token))
        types = event_types(connection, shown.workspace_id, shown.token)
    # A dial that has run down is filled in as one that would begin anew.
    dial = {**shown.dial.model_dump(), "times": shown.dial.times or None}
    return render_template(
        "pages/inbox.html",
        **(_dial(shown) | listed),
        selected=_selected(shown, selected) if selected else None,
        live_urls={part: _url(shown, selected, wanted, part=part) for part in ("dial", "list")},
        sought=_sought(wanted),
        types=types,
        signatures=SIGNATURES,
        most_searched=f"{MOST_SEARCHED_BYTES // 1024} KiB",
        webhooks=webhooks,
        senders=senders,
        dial_form=dial_form or DialForm(formdata=None, data=dial),
        most_held=parts().held_answers.most,
        secret_form=secret_form or SigningSecretForm(formdata=None),
    )


def render_sessions(form: InboxSessionForm) -> str:
    """The page of all inboxes; with a form that was filled in wrong, or without."""
    session.modified = True
    with parts().database.read() as connection:
        listed = list_sessions(
            connection, parts().workspace_id, own_token=parts().secrets.inbox_token
        )
    return render_template(
        "pages/inbox_sessions.html",
        listed=[{**_view(each), "count": count} for each, count in listed],
        form=form,
    )


def title_of(shown: InboxSession) -> str:
    """What people call an inbox."""
    if name_of(shown.token) == OWN:
        return "The store's own"
    return shown.name or f"Inbox {shown.token[:6]}"


def _view(shown: InboxSession) -> dict[str, Any]:
    return {
        "name": name_of(shown.token),
        "title": title_of(shown),
        "is_own": name_of(shown.token) == OWN,
        "address": address_of(shown.token),
        "has_secret": shown.signing_secret is not None,
        "created_at_ms": shown.created_at_ms,
        "in_force": shown.dial.in_force,
        "dial_words": dial_words(shown.dial),
    }


def _senders(connection: Connection, address: str) -> list[dict[str, Any]]:
    """The shop's connections that post to an inbox, and whether anything may arrive from each."""
    return [
        {
            "name": output.name,
            "is_paused": output.state == "paused",
            "pause_reason": output.pause_reason,
            "paused_at_ms": output.paused_at_ms,
            "waiting": counts_view(outbox.count_messages(connection, output))["waiting"],
        }
        for output in list_outputs(connection, parts().workspace_id)
        if (output.settings.url or parts().inbox_address) == address
    ]


def _part(shown: InboxSession, selected: InboxRequest | None = None) -> str | None:
    """The part of the page that is asked for, if one is."""
    match request.args.get("part"):
        case "dial":
            return render_template("_inbox_dial.html", **_dial(shown))
        case "list":
            with parts().database.read() as connection:
                listed = _listed(connection, shown, _wanted(), selected)
            return render_template("_inbox_list.html", **listed)
        case _:
            return None


def _dial(shown: InboxSession) -> dict[str, Any]:
    return {"inbox": _view(shown), "presets": _presets(shown)}


def _presets(shown: InboxSession) -> list[dict[str, object]]:
    return presets_of(
        shown,
        is_own=name_of(shown.token) == OWN,
        schedule_seconds=parts().settings.webhook_retry_seconds,
        timeout_seconds=parts().settings.webhook_timeout_seconds,
    )


def _listed(
    connection: Connection, shown: InboxSession, wanted: Wanted, selected: InboxRequest | None
) -> dict[str, Any]:
    """The requests that are wanted, and how to go on from them."""
    found = list_requests(connection, shown.workspace_id, shown.token, wanted, most=_PAGE + 1)
    is_more = len(found) > _PAGE
    return {
        "inbox": _view(shown),
        "requests": [_row(each) for each in found[:_PAGE]],
        "kept": count_requests(connection, shown.workspace_id, shown.token),
        "selected_id": selected.id if selected else None,
        "is_posted_to": address_of(shown.token) in parts().own_inbox.webhooks(connection).values(),
        "older_url": _url(shown, None, replace(wanted, before_id=found[_PAGE - 1].id))
        if is_more
        else None,
    }


def _url(shown: InboxSession, selected: InboxRequest | None, wanted: Wanted, **more: str) -> str:
    """The page of an inbox, or of one of its requests, with what is looked for there."""
    query: dict[str, Any] = {**_sought(wanted), **more}
    if wanted.before_id is not None:
        query["before"] = wanted.before_id
    name = name_of(shown.token)
    if selected is not None:
        return url_for("inbox.show_request", name=name, number=selected.id, **query)
    return url_for("inbox.show", name=name, **query)


def _wanted() -> Wanted:
    signature = request.args.get("signature", "")
    before = request.args.get("before", type=int)
    return Wanted(
        text=_typed("q"),
        event_type=_typed("type"),
        signature=signature if signature in SIGNATURES else None,
        before_id=before if before is not None and 0 < before < 2**53 else None,
    )


def _typed(name: str) -> str | None:
    return request.args.get(name, "").strip()[:_MOST_TYPED] or None


def _sought(wanted: Wanted) -> Mapping[str, str]:
    given = {"q": wanted.text, "type": wanted.event_type, "signature": wanted.signature}
    return {name: value for name, value in given.items() if value is not None}


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
        "sender": kept.sender,
        "signature": kept.signature,
        "signature_reason": kept.signature_reason,
        "attempt": kept.attempt,
        "attempt_words": _attempt_words(kept),
        "same_body": kept.same_body,
        "answer": kept.answer,
        "answer_words": answer_words(kept.answer),
    }


def _selected(shown: InboxSession, kept: InboxRequest) -> dict[str, Any]:
    webhook_id, timestamp = kept.header("webhook-id"), kept.header("webhook-timestamp")
    return {
        **_row(kept),
        "content_length": len(kept.body),
        "method": kept.method,
        "path": kept.path,
        "headers": kept.headers,
        "body_text": kept.body_text,
        "body_json": kept.json,
        "signed_headers": [(name, kept.header(name)) for name in _SIGNED_HEADERS],
        "signed_beginning": f"{webhook_id}.{timestamp}." if webhook_id and timestamp else None,
        "curl": curl_of(kept),
        "attempts_url": _url(shown, None, Wanted(text=webhook_id)) if kept.attempt > 1 else None,
    }


def _attempt_words(kept: InboxRequest) -> str | None:
    """What a request is among those with its webhook-id; None for the first."""
    if kept.attempt == 1:
        return None
    bytes_words = "the same bytes" if kept.same_body else "other bytes than before"
    return f"{_ordinal(kept.attempt)} attempt, {kept.attempt - 1:,} before, {bytes_words}"


def _ordinal(number: int) -> str:
    last = number % 10 if number // 10 % 10 != 1 else 0
    return f"{number:,}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(last, 'th') }"


def _profile_mpid(text: str) -> str | None:
    """An MPID that may have a page; anybody may post here, and what they say is no fact yet."""
    try:
        return str(parse_mpid(text))
    except ValueError:
        return None
