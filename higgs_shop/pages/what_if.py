"""The form "what would happen if…?" of the profiles' pages: a question, read from an address, and its answer.

It is a query like a search: nothing changes, so that the address can be kept and passed on. What was
typed is checked by the model that the HTTP API reads requests with.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from flask import request
from pydantic import ValidationError

from higgs_shop.identity_types import (
    CUSTOMER_ID,
    DEFAULT_PRIORITY,
    DEVICE_APPLICATION_STAMP,
    EMAIL,
    IDENTITY_TYPES,
)
from higgs_shop.idsync_service import IdentityRequest, IdSyncError, Preview, Resolver
from higgs_shop.showing import sentence, short_mpid, step_view
from higgs_shop.strict_json import BadJson, loads
from higgs_shop.workspaces import Workspace

Action = Literal["identify", "login", "logout", "search"]

MODIFY: Final = "modify"
ACTIONS: Final[tuple[Action, ...]] = get_args(Action)
_FEWEST_ROWS: Final = 3
_MOST_ROWS: Final = 10
TYPES: Final = (*DEFAULT_PRIORITY, *sorted(IDENTITY_TYPES - {*DEFAULT_PRIORITY}))
_FIRSTTYPES: Final = (CUSTOMER_ID, EMAIL, DEVICE_APPLICATION_STAMP)


@dataclass
class Row:
    """One identity of the form, and what is wrong with it."""

    identity_type: str
    value: str
    type_error: str | None = None
    value_error: str | None = None


@dataclass
class WhatIf:
    """The form, as it was filled in, with its mistakes or its answer.

    Attributes:
        answer: for the templates; None unless there is one.
        refused: what the service would say no with.
    """

    action: str
    rows: list[Row]
    previous_mpid: str
    is_asked: bool
    action_error: str | None = None
    previous_mpid_error: str | None = None
    refused: Sequence[str] = ()
    answer: Mapping[str, Any] | None = None
    actions: tuple[str, ...] = ACTIONS
    types: tuple[str, ...] = field(default=TYPES, repr=False)

    @property
    def is_wrong(self) -> bool:
        """Whether there is any mistake in it."""
        return bool(self.action_error or self.previous_mpid_error) or any(
            row.type_error or row.value_error for row in self.rows
        )


def what_if(
    resolver: Resolver,
    workspace: Workspace,
    environment: str,
    suggested: Mapping[str, str] | None = None,
) -> WhatIf:
    """The form of this request: asked and answered, or ready to be filled in.

    Args:
        suggested: identities that an unasked form begins with.
    """
    form = _read(suggested or {})
    if not form.is_asked:
        return form
    asked = _checked(form, environment)
    action = _action(form)
    if asked is None or action is None:
        return form
    try:
        form.answer = answer_of(resolver.preview(workspace, action, asked), form.previous_mpid)
    except IdSyncError as error:
        form.refused = error.messages
    return form


def _read(suggested: Mapping[str, str]) -> WhatIf:
    names, values = request.args.getlist("type"), request.args.getlist("value")
    # A modify has a form of its own.
    is_asked = request.args.get("action", MODIFY) != MODIFY
    if is_asked:
        rows = [
            Row(name, value)
            for name, value in zip(names[:_MOST_ROWS], values[:_MOST_ROWS], strict=False)
        ]
    else:
        rows = [Row(name, value) for name, value in suggested.items()][:_MOST_ROWS]
    filled = [row for row in rows if row.value] if is_asked else rows
    wanted = min(_MOST_ROWS, max(_FEWEST_ROWS, len(filled) + 1))
    unused = [name for name in _FIRSTTYPES if name not in {row.identity_type for row in filled}]
    while len(filled) < wanted:
        filled.append(Row(unused.pop(0) if unused else EMAIL, ""))
    return WhatIf(
        action=request.args["action"] if is_asked else "identify",
        rows=filled,
        previous_mpid=request.args.get("previous_mpid", "").strip(),
        is_asked=is_asked,
    )


def _action(form: WhatIf) -> Action | None:
    return next((action for action in ACTIONS if action == form.action), None)


def _checked(form: WhatIf, environment: str) -> IdentityRequest | None:
    """The request that the form describes, or None with the mistakes noted in it."""
    if _action(form) is None:
        form.action_error = f"Choose one of {', '.join(ACTIONS)}."
    identities: dict[str, str] = {}
    for row in form.rows:
        if not row.value:
            continue
        if row.identity_type in identities:
            row.type_error = "A request has one value of a type; this one is there twice."
        identities[row.identity_type] = row.value
        row.value_error = unkeepable(row.value)
    try:
        asked = IdentityRequest.model_validate(
            {
                "environment": environment,
                "known_identities": identities,
                "previous_mpid": form.previous_mpid or None,
            }
        )
    except ValidationError as error:
        _note(form, error)
        return None
    return None if form.is_wrong else asked


def unkeepable(text: str) -> str | None:
    """What is wrong with a text that no database keeps, if it is one."""
    try:
        loads(json.dumps(text).encode())
    except BadJson as error:
        return sentence(str(error))
    return None


def _note(form: WhatIf, error: ValidationError) -> None:
    """Put each mistake where it was made."""
    for detail in error.errors(include_url=False, include_input=False):
        text = sentence(str(detail.get("ctx", {}).get("error", detail["msg"])))
        match detail["loc"]:
            case ("previous_mpid", *_):
                form.previous_mpid_error = text
            case ("known_identities", name, "[key]"):
                for row in form.rows:
                    if row.value and row.identity_type == name:
                        row.type_error = f"“{name[:40]}” {text[0].lower()}{text[1:]}"
            case ("known_identities", name):
                for row in form.rows:
                    if row.identity_type == name:
                        row.value_error = text
            case _:
                form.rows[0].value_error = "Type one identity at least."


def answer_of(preview: Preview, previous_mpid: str) -> dict[str, Any]:
    """What a call would come to, for the templates."""
    mpid = None if preview.profile is None else str(preview.profile.mpid)
    state = "known" if preview.is_logged_in else "anonymous"
    return {
        "outcome": "new" if preview.is_new else "nobody" if mpid is None else "found",
        "kind": None if mpid is None and not preview.is_new else state,
        "mpid": mpid,
        "mpid_short": short_mpid(mpid),
        "stays": mpid is not None and mpid == previous_mpid,
        "matched": [
            {"type": name, "value": value} for name, value in preview.matched_identities.items()
        ],
        "steps": [
            step_view(step.rule, step.text, [profile.mpid for profile in step.profiles])
            for step in preview.steps
        ],
    }
