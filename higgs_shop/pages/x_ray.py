"""The x-ray: who the visitor is, what was logged, where that went, and the lines that did it.

It reads what is stored and logs nothing. On every shop page it is a bar; here it is a page of its
own, and the fragment that the open bar fetches while deliveries are on their way.
"""

import linecache
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from flask import Blueprint, render_template, request
from sqlalchemy import Connection, bindparam, select

from higgs_shop.asking import current_visitor
from higgs_shop.asking.observers import observers_only
from higgs_shop.asking.parts import parts
from higgs_shop.showing import deliveries_of, short_mpid
from higgs_shop.tables import device_users, identity_decisions, sessions
from higgs_shop.tracker import LoggedEvent, attributes_of, events_of_visit
from higgs_shop.visitors import Intent, Standing, Visit, latest

bp = Blueprint("x_ray", __name__)
bp.before_request(observers_only)

_MOST_EVENTS: Final = 20
_MOST_EVENTS_IN_BAR: Final = 10
_MOST_CALLS: Final = 5
_LINES_AROUND: Final = 2
_PROJECT: Final = Path(__file__).parent.parent.parent


@bp.get("/x-ray")
def show() -> str:
    """The x-ray as a page: for those without JavaScript, and for a closer look."""
    return render_template("pages/x_ray.html")


@bp.get("/x-ray/fragment")
def fragment() -> str:
    """The inner part of the bar, anew. `?page=` names the request whose events are "this page's"."""
    return render_template("_x_ray_body.html")


def x_ray_of(connection: Connection, visit: Visit | None, standing: Standing) -> dict[str, Any]:
    """Everything that the x-ray shows of a visit, for the templates."""
    if visit is None:
        return _empty(current_visitor.device_stamp())
    in_full = current_visitor.endpoint() == "x_ray.show"
    most = _MOST_EVENTS if in_full else _MOST_EVENTS_IN_BAR
    events = events_of_visit(connection, visit.workspace_id, visit.id, most=most)
    deliveries = deliveries_of(
        connection,
        visit.workspace_id,
        events,
        batch_ms=parts().settings.webhook_batch_seconds * 1_000,
        now_ms=parts().clock(),
    )
    page = _page_of_interest()
    groups = _grouped(events[::-1], page)
    views = {
        name: [
            _event(event, deliveries[event.id], in_full=in_full or name != "before")
            for event in group
        ]
        for name, group in groups.items()
    }
    users = _users(connection, visit)
    return {
        "page": page,
        "in_full": in_full,
        "user": _user(connection, visit, standing, users),
        "device_stamp": visit.device_stamp,
        "session_uuid": connection.scalar(
            _SESSION, {"workspace": visit.workspace_id, "stamp": visit.device_stamp}
        ),
        **views,
        "calls": _calls(connection, visit),
        "users": [
            {
                "mpid": str(user.mpid),
                "mpid_short": short_mpid(user.mpid),
                "is_logged_in": user.is_logged_in,
                "first_seen_ms": user.first_seen_ms,
                "last_seen_ms": user.last_seen_ms,
            }
            for user in users
        ],
        "waiting": sum(
            view["delivery"]["state"] in ("waiting", "retrying")
            for group in views.values()
            for view in group
        ),
    }


def _grouped(events: list[LoggedEvent], page: str) -> dict[str, list[LoggedEvent]]:
    """The events as the x-ray tells them, each group oldest first but `before`.

    `did`: what the form that led to this page logged. `here`: what this page logged. `since`: what
    was logged after it, in another tab for example. `before`: all else, newest first.
    """
    here = [event for event in events if event.request_id == page]
    end = here[-1].id if here else events[-1].id if events else 0
    earlier = [event for event in events if event.id <= end and event.request_id != page]
    doing = earlier[-1].request_id if earlier else ""
    did = [event for event in earlier if event.request_id == doing and doing.startswith("post-")]
    return {
        "did": did,
        "here": here,
        "since": [event for event in events if event.id > end],
        "before": [event for event in reversed(earlier) if event not in did],
    }


def _page_of_interest() -> str:
    """The request whose events are "this page's": the one under the bar, not the bar's own."""
    if current_visitor.endpoint() == "x_ray.fragment":
        return request.args.get("page", "")
    return current_visitor.caller().request_id


def _empty(device_stamp: str | None) -> dict[str, Any]:
    return {
        "page": "",
        "in_full": False,
        "user": None,
        "device_stamp": device_stamp,
        "session_uuid": None,
        "did": [],
        "here": [],
        "since": [],
        "before": [],
        "calls": [],
        "users": [],
        "waiting": 0,
    }


def _user(
    connection: Connection, visit: Visit, standing: Standing, users: list[Any]
) -> dict[str, Any] | None:
    if standing.mpid is None:
        return None
    current = next((user for user in users if user.mpid == standing.mpid), None)
    attributes = attributes_of(connection, visit.workspace_id, standing.mpid)
    return {
        "mpid": str(standing.mpid),
        "mpid_short": short_mpid(standing.mpid),
        "state": "known" if current is not None and current.is_logged_in else "anonymous",
        "identities": [
            {"type": name, "value": known["value"], "set_at_ms": known["set_at_ms"]}
            for name, known in (current.identities if current is not None else {}).items()
        ],
        "attributes": [{"name": name, "value": value} for name, value in attributes.items()],
    }


def _users(connection: Connection, visit: Visit) -> list[Any]:
    names = {"workspace": visit.workspace_id, "stamp": visit.device_stamp}
    users = connection.execute(_USERS, names)
    # Who was current until now was seen at the same moment.
    return sorted(users, key=lambda user: (-user.last_seen_ms, user.mpid != visit.current_mpid))


def _event(event: LoggedEvent, delivery: Mapping[str, Any], *, in_full: bool) -> dict[str, Any]:
    """Only those of this page are shown in full in its bar: the others' data would double the page."""
    return {
        "event_type": event.event_type,
        "kind": "session" if event.event_type.startswith("session_") else event.event_type,
        "name": event.name,
        "logged_at_ms": event.logged_at_ms,
        "sequence": delivery["sequence"],
        "mpid": event.mpid,
        "mpid_short": short_mpid(event.mpid),
        "delivery": delivery,
        "data": event.data,
        "code_place": event.code_place,
        "in_full": in_full,
        "code_lines": _code_lines(event.code_place) if in_full else [],
    }


def _code_lines(place: str) -> list[tuple[int, str, bool]]:
    """The line that logged the event, with its neighbours. Only the store's own files are read."""
    name, _, number = place.rpartition(":")
    if not name.startswith("higgs_shop/") or ".." in name or not number.isdigit():
        return []
    lines = linecache.getlines(str(_PROJECT / name))
    at = int(number)
    around = range(max(1, at - _LINES_AROUND), min(len(lines), at + _LINES_AROUND) + 1)
    code = textwrap.dedent("".join(lines[line - 1] for line in around)).splitlines()
    return [(line, text, line == at) for line, text in zip(around, code, strict=True)]


def _calls(connection: Connection, visit: Visit) -> list[dict[str, Any]]:
    calls = latest(connection, visit.id, most=_MOST_CALLS)
    steps = _steps(connection, visit.workspace_id, [call.request_id for call in calls])
    return [_call(call, steps.get(call.request_id, [])) for call in calls]


def _call(call: Intent, steps: list[str]) -> dict[str, Any]:
    duration = None
    if call.closed_at_ms is not None:
        duration = f"{call.closed_at_ms - call.owed_since_ms} ms"
    return {
        "action": call.action,
        "state": call.state,
        "owed_since_ms": call.owed_since_ms,
        "duration": duration,
        "error": call.error_message,
        "mpid": call.mpid,
        "mpid_short": short_mpid(call.mpid),
        "previous_mpid": call.previous_mpid,
        "previous_mpid_short": short_mpid(call.previous_mpid),
        "steps": steps,
    }


def _steps(
    connection: Connection, workspace_id: str, request_ids: list[str]
) -> dict[str, list[str]]:
    """The embedded service's own account of each decision; a remote one keeps it to itself."""
    rows = connection.execute(
        select(identity_decisions.c.request_id, identity_decisions.c.record).where(
            identity_decisions.c.workspace_id == workspace_id,
            identity_decisions.c.request_id.in_(request_ids),
        )
    )
    return {row.request_id: [step["text"] for step in row.record["steps"]] for row in rows}


_SESSION = select(sessions.c.session_uuid).where(
    sessions.c.workspace_id == bindparam("workspace"),
    sessions.c.device_stamp == bindparam("stamp"),
    sessions.c.ended_at_ms.is_(None),
)
_USERS = (
    select(device_users)
    .where(
        device_users.c.workspace_id == bindparam("workspace"),
        device_users.c.stamp == bindparam("stamp"),
    )
    .order_by(device_users.c.last_seen_ms.desc())
)
