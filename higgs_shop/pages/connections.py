"""Where the events of a workspace go: its outputs, how each stands, and what it is set to.

It reads what is stored and logs nothing. What changes something is in `connection_changes`.
"""

from typing import Any, Final

from flask import Blueprint, render_template, request, session
from sqlalchemy import Connection

from higgs_shop import outbox
from higgs_shop.asking.asked_connection import connection_view, output_or_404
from higgs_shop.asking.looked_into import choice_of, workspace_or_404
from higgs_shop.asking.observers import observers_only
from higgs_shop.asking.parts import parts
from higgs_shop.outputs import (
    MOST_SECRETS,
    Output,
    OutputSettings,
    fingerprint,
    list_outputs,
)
from higgs_shop.pages.connection_forms import NewOutputForm, OutputForm, SecretForm
from higgs_shop.pages.replays import replay_view
from higgs_shop.pages.trials import trial_view
from higgs_shop.settings import variable
from higgs_shop.showing import sentence

bp = Blueprint("connections", __name__)
bp.before_request(observers_only)

NEW_SECRET: Final = "new_signing_secret"  # noqa: S105 (the name of a place in the session)
"""Where the session keeps a secret that was just made, until it was shown: workspace, output, secret."""

_MOST_REPLAYS: Final = 5
_VARIABLES: Final = {
    "url": variable("webhook_url"),
    "authorization": variable("webhook_authorization"),
    "send_alias_requests": variable("webhook_alias_requests"),
}
_SHOWN_END: Final = 4

GROUPS: Final = (
    ("Where to", ("is_active", "url", "authorization")),
    ("How", ("send_as_batch", "wait_for_session")),
    (
        "Which events",
        (
            "send_custom_events",
            "send_screen_views",
            "send_commerce_events",
            "send_lifecycle_events",
            "send_crash_reports",
            "send_network_performance",
            "send_push_events",
            "send_user_attribute_changes",
            "send_user_identity_changes",
            "send_alias_requests",
            "send_batches_without_events",
        ),
    ),
    (
        "What of them",
        (
            "unique_id",
            "include_device_id",
            "include_metadata",
            "left_out_metadata",
            "include_location",
            "include_batch_location",
            "hash_email_addresses",
        ),
    ),
)
"""The settings as the form shows them."""


@bp.get("/connections")
def show() -> str:
    """Every output of the workspace, and the form for another one."""
    if _asks_for_state():
        with parts().database.read() as connection:
            return render_template("_connection_cards.html", **_cards(connection))
    return render_list(NewOutputForm(formdata=None))


@bp.get("/connections/<name>")
def show_one(name: str) -> str:
    """One output: how it stands, what it is set to, and what signs."""
    with parts().database.read() as connection:
        output = output_or_404(connection, name)
        if _asks_for_state():
            return render_template("_connection_state.html", **_standing(connection, output))
    return render_one(output, settings_form(output), SecretForm(formdata=None))


def render_list(form: NewOutputForm) -> str:
    """The page of all outputs."""
    session.modified = True  # the forms' CSRF token wants a session that is kept
    with parts().database.read() as connection:
        return render_template("pages/connections.html", form=form, **_cards(connection))


def render_one(output: Output, form: OutputForm, secret_form: SecretForm) -> str:
    """The page of one output."""
    session.modified = True
    with parts().database.read() as connection:
        workspace = workspace_or_404(connection)
        return render_template(
            "pages/one_connection.html",
            form=form,
            groups=GROUPS,
            meanings=_MEANINGS,
            locked=_locked(output),
            has_authorization=bool(output.authorization),
            secrets=_secrets(output),
            most_secrets=MOST_SECRETS,
            has_own_secrets=bool(output.secrets),
            secret_form=secret_form,
            new_secret=_new_secret_once(output),
            **_standing(connection, output),
            **choice_of(connection, workspace, "connections.show"),
        )


def settings_form(output: Output) -> OutputForm:
    """The form as the output is set now. The authorization is never shown."""
    settings = output.settings.model_dump()
    settings["left_out_metadata"] = ", ".join(output.settings.left_out_metadata)
    return OutputForm(formdata=None, data=settings)


def _asks_for_state() -> bool:
    """Whether only the part is wanted that changes by itself, which live.js asks for."""
    return request.args.get("part") == "state"


def _cards(connection: Connection) -> dict[str, Any]:
    workspace = workspace_or_404(connection)
    found = list_outputs(connection, workspace.id)
    return {
        "connections": [connection_view(connection, output) for output in found],
        **choice_of(connection, workspace, "connections.show"),
    }


def _standing(connection: Connection, output: Output) -> dict[str, Any]:
    replays = outbox.list_replays(connection, output, most=_MOST_REPLAYS)
    return {
        "connection": connection_view(connection, output),
        "trial": trial_view(connection, output),
        "replays": [replay_view(connection, output, replay) for replay in replays],
    }


def _locked(output: Output) -> dict[str, dict[str, str]]:
    """The settings that the environment gives: the variable's name, and the value if it is no secret."""
    texts = output.settings.model_dump() | {"authorization": "••••••••"}
    return {
        name: {
            "variable": _VARIABLES[name],
            "value": {True: "on", False: "off"}.get(texts[name], texts[name]),
        }
        for name in output.from_environment
    }


def _secrets(output: Output) -> list[dict[str, Any]]:
    """What signs, oldest first, without giving it away."""
    usual = parts().secrets.webhook_secret
    return [
        {
            "fingerprint": fingerprint(secret),
            "end": secret.rstrip("=")[-_SHOWN_END:],
            "is_usual": secret == usual,
        }
        for secret in output.secrets or (usual,)
    ]


def _new_secret_once(output: Output) -> str | None:
    """A secret that was just made for this output, the first time it is asked for."""
    workspace_id, name, secret = session.get(NEW_SECRET, ("", "", ""))
    if (workspace_id, name) != (output.workspace_id, output.name) or request.method != "GET":
        return None
    del session[NEW_SECRET]
    return str(secret)


_MEANINGS: Final = {
    name: sentence(field.description or "") for name, field in OutputSettings.model_fields.items()
} | {"authorization": "Value of the Authorization header, which is not shown again."}
