"""What changes an output: made, set, paused, resumed, given another secret, removed.

Each answers with the page of the output, or with the list when it is gone.
"""

from typing import Any, Final

from flask import Blueprint, abort, flash, redirect, render_template, session
from werkzeug.wrappers import Response

from higgs_shop.asking.asked_connection import NO_SUCH_CONNECTION, connection_view, output_or_404
from higgs_shop.asking.current_visitor import submitting_untracked
from higgs_shop.asking.looked_into import choice_of, url_within, workspace_or_404
from higgs_shop.asking.observers import observers_only
from higgs_shop.asking.parts import parts
from higgs_shop.outputs import (
    MAIN_OUTPUT,
    NoSuchOutput,
    Output,
    OutputRefused,
    add_output,
    change_output,
    change_secrets,
    changed_output,
    new_output,
    pause_output,
    remove_output,
    resume_output,
    signing_secret_or_new,
    with_another_secret,
    without_secret,
)
from higgs_shop.pages.connection_forms import (
    KnownSecretForm,
    NewOutputForm,
    OutputForm,
    SecretForm,
)
from higgs_shop.pages.connections import (
    NEW_SECRET,
    render_list,
    render_one,
    settings_form,
)
from higgs_shop.pages.forms import BareForm

bp = Blueprint("connection_changes", __name__)
bp.before_request(observers_only)

BY_HAND: Final = "somebody paused it here"
_STAYS: Final = (
    "The main connection stays for as long as its workspace does; make it inactive instead."
)


@bp.post("/connections")
def add() -> Response | tuple[str, int]:
    """Make an output; the answer is its page, with its secret."""
    form = NewOutputForm()
    if not form.validate_on_submit():
        abort(400)
    try:
        with submitting_untracked(_page_of(form.name.data or "-")) as (connection, sent):
            workspace = workspace_or_404(connection)
            if sent.is_new:
                wanted = new_output(form.texts, reach=parts().webhook_reach)
                add_output(
                    connection,
                    workspace.id,
                    wanted.name,
                    wanted.settings,
                    authorization=wanted.authorization,
                    secrets=(wanted.secret,),
                    now_ms=parts().clock(),
                )
                session[NEW_SECRET] = [workspace.id, wanted.name, wanted.secret]
                flash(f"The connection {wanted.name} is there.", "info")
    except OutputRefused as refused:
        form.note_mistakes(refused.mistakes)
        return render_list(form), 422
    return redirect(sent.location, 303)


@bp.post("/connections/<name>")
def change(name: str) -> Response | tuple[str, int]:
    """Other settings for an output. What waits already goes out as it is."""
    form = OutputForm()
    if not form.validate_on_submit():
        abort(400)
    try:
        with submitting_untracked(_page_of(name)) as (connection, sent):
            output = output_or_404(connection, name)
            if sent.is_new:
                settings, authorization = changed_output(
                    output,
                    form.texts,
                    reach=parts().webhook_reach,
                    forgets_authorization=form.forgets_authorization.data,
                )
                change_output(
                    connection,
                    output,
                    settings,
                    authorization=authorization,
                    secrets=output.secrets,
                )
                before = (output.settings, output.authorization)
                is_same = (settings, authorization) == before
                flash("Nothing was changed." if is_same else "The settings are changed.", "info")
    except OutputRefused as refused:
        form.note_mistakes(refused.mistakes)
        return render_one(_found(name), form, SecretForm(formdata=None)), 422
    return redirect(sent.location, 303)


@bp.post("/connections/<name>/pause")
def pause(name: str) -> Response:
    """Send nothing any more; what comes is kept."""
    if not BareForm().validate_on_submit():
        abort(400)
    with submitting_untracked(_page_of(name)) as (connection, sent):
        output = output_or_404(connection, name)
        if sent.is_new and pause_output(connection, output.id, BY_HAND, parts().clock()):
            flash("It is paused. What happens meanwhile is kept.", "info")
    return redirect(sent.location, 303)


@bp.post("/connections/<name>/resume")
def resume(name: str) -> Response:
    """Go on sending, at once."""
    if not BareForm().validate_on_submit():
        abort(400)
    with submitting_untracked(_page_of(name)) as (connection, sent):
        output = output_or_404(connection, name)
        if sent.is_new and resume_output(connection, output.id):
            flash("It goes on, with what waited first.", "info")
    parts().forwarder.wake()
    return redirect(sent.location, 303)


@bp.post("/connections/<name>/secrets")
def add_secret(name: str) -> Response | tuple[str, int]:
    """Another signing secret: it and those that signed before all sign from now on."""
    form = SecretForm()
    if not form.validate_on_submit():
        abort(400)
    typed = form.secret.data or ""
    try:
        shown_at = "signing" if typed else "new-secret"
        with submitting_untracked(_page_of(name, shown_at)) as (connection, sent):
            output = output_or_404(connection, name)
            if sent.is_new:
                secret = signing_secret_or_new(typed)
                usual = parts().secrets.webhook_secret
                signing = with_another_secret(output.secrets, secret, usual=usual)
                change_secrets(connection, output, signing)
                if not typed:
                    session[NEW_SECRET] = [output.workspace_id, output.name, secret]
                flash("Another secret signs as well.", "info")
    except OutputRefused as refused:
        form.note_mistakes(refused.mistakes)
        output = _found(name)
        return render_one(output, settings_form(output), form), 422
    return redirect(sent.location, 303)


@bp.post("/connections/<name>/secrets/remove")
def remove_secret(name: str) -> Response:
    """One signing secret less; the last one stays."""
    form = KnownSecretForm()
    if not form.validate_on_submit():
        abort(400)
    try:
        with submitting_untracked(_page_of(name, "signing")) as (connection, sent):
            output = output_or_404(connection, name)
            if sent.is_new:
                left = without_secret(output.secrets, form.fingerprint.data or "")
                if left != output.secrets:
                    change_secrets(connection, output, left)
                    flash("That secret signs nothing any more.", "info")
    except OutputRefused:
        abort(400, "One secret has to sign, so the last one stays. Add another first.")
    return redirect(sent.location, 303)


@bp.get("/connections/<name>/remove")
def ask_to_remove(name: str) -> str:
    """What would be forgotten, and the button that does it."""
    session.modified = True
    with parts().database.read() as connection:
        output = output_or_404(connection, name)
        if output.name == MAIN_OUTPUT:
            abort(400, _STAYS)
        return render_template(
            "pages/remove_connection.html",
            connection=connection_view(connection, output),
            **choice_of(connection, workspace_or_404(connection), "connections.show"),
        )


@bp.post("/connections/<name>/remove")
def remove(name: str) -> Response:
    """Forget an output with its messages."""
    if not BareForm().validate_on_submit():
        abort(400)
    with submitting_untracked(url_within("connections.show")) as (connection, sent):
        if sent.is_new:
            output = output_or_404(connection, name)
            try:
                remove_output(connection, output)
            except OutputRefused:
                abort(400, _STAYS)
            except NoSuchOutput:
                abort(404, NO_SUCH_CONNECTION)
            flash(f"The connection {name} is forgotten, with its deliveries.", "info")
    return redirect(sent.location, 303)


def _found(name: str) -> Output:
    with parts().database.read() as connection:
        return output_or_404(connection, name)


def _page_of(name: str, anchor: str | None = None) -> Any:
    return url_within("connections.show_one", name=name, _anchor=anchor)
