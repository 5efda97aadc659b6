"""The form "what would happen if a client changed this identity?" of a profile's page, and its answer.

Like `what_if`, a query that changes nothing; it has a form of its own, since a modify is about one
profile, and names an old value and a new one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import request
from pydantic import ValidationError

from higgs_shop.identity_types import EMAIL, parse_mpid
from higgs_shop.idsync_service import IdSyncError, ModifyRequest, Resolver
from higgs_shop.pages.what_if import MODIFY, TYPES, answer_of, unkeepable
from higgs_shop.showing import sentence
from higgs_shop.workspaces import Workspace


@dataclass
class WhatIfModify:
    """The form, as it was filled in, with its mistakes or its answer."""

    mpid: str
    identity_type: str
    old_value: str
    new_value: str
    is_asked: bool
    mpid_error: str | None = None
    type_error: str | None = None
    old_value_error: str | None = None
    new_value_error: str | None = None
    refused: Sequence[str] = ()
    answer: Mapping[str, Any] | None = None
    types: tuple[str, ...] = TYPES

    @property
    def is_wrong(self) -> bool:
        """Whether there is any mistake in it."""
        return bool(
            self.mpid_error or self.type_error or self.old_value_error or self.new_value_error
        )


def what_if_modify(
    resolver: Resolver, workspace: Workspace, environment: str, *, mpid: str = ""
) -> WhatIfModify:
    """The form of this request: asked and answered, or ready to be filled in.

    Args:
        mpid: whom an unasked form is about.
    """
    is_asked = request.args.get("action") == MODIFY
    form = WhatIfModify(
        mpid=request.args.get("mpid", "").strip() if is_asked else mpid,
        identity_type=request.args.get("type", EMAIL) if is_asked else EMAIL,
        old_value=request.args.get("old_value", "") if is_asked else "",
        new_value=request.args.get("new_value", "") if is_asked else "",
        is_asked=is_asked,
    )
    if not is_asked:
        return form
    number, asked = _checked(form, environment)
    if number is None or asked is None:
        return form
    try:
        form.answer = answer_of(resolver.preview_modify(workspace, number, asked), form.mpid)
    except IdSyncError as error:
        form.refused = error.messages
    return form


def _checked(form: WhatIfModify, environment: str) -> tuple[int | None, ModifyRequest | None]:
    """The profile and the request that the form describes, or None with the mistakes noted in it."""
    form.old_value_error = unkeepable(form.old_value)
    form.new_value_error = unkeepable(form.new_value)
    if not form.old_value and not form.new_value:
        form.new_value_error = "Type a new value, or the old one to take it away."
    number = None
    try:
        number = parse_mpid(form.mpid)
    except ValueError as error:
        form.mpid_error = sentence(str(error))
    change = {
        "identity_type": form.identity_type,
        "old_value": form.old_value or None,
        "new_value": form.new_value or None,
    }
    try:
        asked = ModifyRequest.model_validate(
            {"environment": environment, "identity_changes": [change]}
        )
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            text = sentence(str(detail.get("ctx", {}).get("error", detail["msg"])))
            if "identity_type" in detail["loc"]:
                form.type_error = f"“{form.identity_type[:40]}” {text[0].lower()}{text[1:]}"
            else:
                form.new_value_error = text
        return number, None
    return (None, None) if form.is_wrong else (number, asked)
