"""Who people are to the identity service, and why: profiles, their history, and "what would happen if".

It reads what is stored and logs nothing. `?workspace=` looks into another workspace than the shop's, and
stays in every link and form. A remote identity service, which only the shop's workspace can have, keeps
its profiles to itself; then the pages show what the store's own devices and events tell of a person.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, get_args

from flask import Blueprint, abort, render_template, request
from sqlalchemy import Connection

from higgs_shop.asking.looked_into import choice_of, url_within, workspace_or_404
from higgs_shop.asking.observers import observers_only
from higgs_shop.asking.parts import parts
from higgs_shop.idsync_service import directory, lineage, parse_mpid
from higgs_shop.idsync_service.directory import Kind, Listed, Place
from higgs_shop.idsync_service.former import FormerIdentity
from higgs_shop.idsync_service.lineage import Link
from higgs_shop.pages.what_if import WhatIf, what_if
from higgs_shop.pages.what_if_modify import WhatIfModify, what_if_modify
from higgs_shop.showing import Timeline, deliveries_of, identities_of, short_mpid, timeline_of
from higgs_shop.tracker import LoggedEvent, attributes_of, events_of_person
from higgs_shop.visitors import DeviceUser, devices_of, newest_users, users_of
from higgs_shop.workspaces import Workspace

bp = Blueprint("profiles", __name__)
bp.before_request(observers_only)

_PAGE: Final = 50
_MOST_EVENTS: Final = 25
_MOST_DEVICES: Final = 10
_MOST_FORMER: Final = 20
_MOST_LINKS: Final = 10
_NEWEST: Final = (2**63 - 1, 2**63 - 1)
_PAIR: Final = re.compile(r"([0-9]{1,16})_(-?[0-9]{1,19})", re.ASCII)


@bp.get("/profiles")
def show() -> str:
    """Everybody, newest first, or whoever carries an identity; and what would happen if."""
    sought = request.args.get("q", "").strip()
    with parts().database.read() as connection:
        workspace = workspace_or_404(connection)
        choice = choice_of(connection, workspace, "profiles.show")
        if _is_remote(workspace):
            return render_template(
                "pages/profiles.html",
                sought=sought,
                people=_remote_people(connection, workspace.id, sought),
                remote_url=parts().settings.idsync_url,
                **choice,
            )
        kind = _kind()
        found = _find(connection, workspace, sought, kind)
        former = (
            directory.former_holders(connection, workspace, sought, most=_MOST_FORMER)
            if sought
            else []
        )
        census = directory.count_kinds(connection, workspace)
    return render_template(
        "pages/profiles.html",
        sought=sought,
        people=[_person(profile) for profile in found[:_PAGE]],
        former=[{**_person(profile), "had": _former(had)} for profile, had in former],
        kind_shown=kind,
        older_url=_older_url(found, sought, kind),
        census=census,
        most_counted=directory.MOST_COUNTED,
        workspace=workspace,
        what_if=_what_if(workspace),
        what_if_modify=_what_if_modify(workspace),
        **choice,
    )


@bp.get("/profiles/<mpid>")
def show_profile(mpid: str) -> str:
    """One person: the identity record now, how it came to be, and their events."""
    number = _mpid_or_404(mpid)
    with parts().database.read() as connection:
        workspace = workspace_or_404(connection)
        profile = (
            None if _is_remote(workspace) else directory.get_profile(connection, workspace, number)
        )
        devices = devices_of(connection, workspace.id, number, most=_MOST_DEVICES)
        events = events_of_person(
            connection,
            workspace.id,
            number,
            before=_events_before(),
            most=_MOST_EVENTS + 1,
        )
        attributes = attributes_of(connection, workspace.id, number)
        if profile is None and not (devices or events or attributes):
            abort(404)
        timeline = Timeline([], None)
        record: dict[str, Any] = {}
        if profile is not None:
            timeline = timeline_of(connection, workspace.id, number, before_id=_history_before())
            record = _record(connection, workspace, profile)
        deliveries = deliveries_of(
            connection,
            workspace.id,
            events,
            batch_ms=parts().settings.webhook_batch_seconds * 1_000,
            now_ms=parts().clock(),
        )
        choice = choice_of(connection, workspace, "profiles.show")
    return render_template(
        "pages/one_profile.html",
        mpid=str(number),
        mpid_short=short_mpid(number),
        profile=None
        if profile is None
        else {
            **_person(profile),
            **record,
            "identities": identities_of(parts().resolver, workspace, profile),
        },
        workspace=workspace,
        devices=[_device(device) for device in devices],
        attributes=[{"name": name, "value": value} for name, value in attributes.items()],
        chapters=timeline.entries,
        older_chapters=_older_chapters(number, timeline),
        events=[_event(event, deliveries[event.id]) for event in events[:_MOST_EVENTS]],
        older_events=_earlier_events(number, events),
        remote_url=parts().settings.idsync_url if _is_remote(workspace) else "",
        what_if=None if profile is None else _what_if(workspace, profile),
        what_if_modify=None if profile is None else _what_if_modify(workspace, profile),
        **choice,
    )


def _history_before() -> int | None:
    before = request.args.get("history_before", type=int)
    return before if before is not None and 0 < before < 2**53 else None


def _older_chapters(mpid: int, timeline: Timeline) -> str | None:
    if timeline.goes_on_before is None:
        return None
    return url_within(
        "profiles.show_profile",
        mpid=mpid,
        history_before=timeline.goes_on_before,
        _anchor="history",
    )


def _record(connection: Connection, workspace: Workspace, profile: Listed) -> dict[str, Any]:
    """What the identity service knows of a profile besides what a list shows."""
    source = lineage.source_of(connection, workspace.id, profile.mpid, profile.source_mpid)
    made = lineage.made_from(connection, workspace.id, profile.mpid, most=_MOST_LINKS)
    former = directory.lost_by(connection, workspace, profile, most=_MOST_FORMER)
    return {
        "source": None if source is None else _link(source),
        "made_from_it": [_link(link) for link in made],
        "former": [_former(had) for had in former],
    }


def _is_remote(workspace: Workspace) -> bool:
    return bool(parts().settings.idsync_url) and workspace.id == parts().workspace_id


def _mpid_or_404(text: str) -> int:
    try:
        return parse_mpid(text)
    except ValueError:
        abort(404)


def _kind() -> Kind | None:
    """The one kind that the list is asked for."""
    return next((kind for kind in get_args(Kind) if kind == request.args.get("kind")), None)


def _find(
    connection: Connection, workspace: Workspace, sought: str, kind: Kind | None
) -> list[Listed]:
    after, most = _place(), _PAGE + 1
    if sought:
        return directory.find_profiles(connection, workspace, sought, after=after, most=most)
    return directory.newest_profiles(connection, workspace, kind=kind, after=after, most=most)


def _place() -> Place | None:
    pair = _pair("after")
    return None if pair is None else Place(*pair)


def _events_before() -> tuple[int, int]:
    return _pair("events_before") or _NEWEST


def _pair(name: str) -> tuple[int, int] | None:
    match = _PAIR.fullmatch(request.args.get(name, ""))
    if match is None or not -(2**63) <= int(match[2]) < 2**63:
        return None
    return int(match[1]), int(match[2])


def _older_url(found: list[Listed], sought: str, kind: Kind | None) -> str | None:
    if len(found) <= _PAGE:
        return None
    last = found[_PAGE - 1]
    after = f"{last.created_at_ms}_{last.mpid}"
    return url_within("profiles.show", q=sought or None, kind=kind, after=after)


def _earlier_events(mpid: int, shown: list[LoggedEvent]) -> str | None:
    """The same page with the events before the last one shown, in view."""
    if len(shown) <= _MOST_EVENTS:
        return None
    last = shown[_MOST_EVENTS - 1]
    before = f"{last.logged_at_ms}_{last.id}"
    return url_within("profiles.show_profile", mpid=mpid, events_before=before, _anchor="events")


def _what_if(workspace: Workspace, profile: Listed | None = None) -> WhatIf:
    suggested = {} if profile is None else {of.identity_type: of.value for of in profile.identities}
    return what_if(parts().resolver, workspace, parts().settings.environment, suggested)


def _what_if_modify(workspace: Workspace, profile: Listed | None = None) -> WhatIfModify:
    mpid = "" if profile is None else str(profile.mpid)
    return what_if_modify(parts().resolver, workspace, parts().settings.environment, mpid=mpid)


def _link(link: Link) -> dict[str, Any]:
    return {
        "mpid": str(link.mpid),
        "mpid_short": short_mpid(link.mpid),
        "state": link.state,
        "copied_events": link.copied_events,
    }


def _former(had: FormerIdentity) -> dict[str, Any]:
    return {"type": had.identity_type, "value": had.value, "lost_at_ms": had.lost_at_ms}


def _person(profile: Listed) -> dict[str, Any]:
    return {
        "mpid": str(profile.mpid),
        "mpid_short": short_mpid(profile.mpid),
        "kind": profile.kind,
        "identities": [
            {"type": of.identity_type, "value": of.value, "set_at_ms": of.set_at_ms}
            for of in profile.identities
        ],
        "created_at_ms": profile.created_at_ms,
        "first_seen_ms": profile.first_seen_ms,
        "last_seen_ms": profile.last_seen_ms,
    }


def _remote_people(connection: Connection, workspace_id: str, sought: str) -> list[dict[str, Any]]:
    """People as the store's devices know them: each once, however many devices they have."""
    people: dict[str, dict[str, Any]] = {}
    for user in _remote_users(connection, workspace_id, sought):
        person = _device(user)
        people.setdefault(person["mpid"], person)
    return list(people.values())


def _remote_users(connection: Connection, workspace_id: str, sought: str) -> Iterable[DeviceUser]:
    if not sought:
        return newest_users(connection, workspace_id, most=_PAGE)
    try:
        return devices_of(connection, workspace_id, parse_mpid(sought), most=_PAGE)
    except ValueError:
        if "\x00" in sought:  # PostgreSQL cannot even be asked for it
            return []
        return users_of(connection, workspace_id, sought, most=_PAGE)


def _device(user: DeviceUser) -> dict[str, Any]:
    return {
        "mpid": str(user.mpid),
        "mpid_short": short_mpid(user.mpid),
        "kind": "known" if user.is_logged_in else "anonymous",
        "stamp": user.stamp,
        "identities": [
            {"type": name, "value": known["value"], "set_at_ms": known["set_at_ms"]}
            for name, known in user.identities.items()
        ],
        "created_at_ms": user.first_seen_ms,
        "last_seen_ms": user.last_seen_ms,
    }


def _event(event: LoggedEvent, delivery: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "event_type": event.event_type,
        "name": event.name,
        "logged_at_ms": event.logged_at_ms,
        "sequence": delivery["sequence"],
        "delivery": delivery,
        "data": event.data,
        "code_place": event.code_place,
        "is_copy": event.copied_from is not None,
        "channel": event.channel,
    }
