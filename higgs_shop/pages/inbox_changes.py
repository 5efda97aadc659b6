"""The forms of the inbox: make one, say how it answers and what it checks with, and remove things."""

from collections.abc import Callable

from flask import Blueprint, abort, flash, redirect, render_template, session, url_for
from pydantic import ValidationError
from sqlalchemy import Connection
from werkzeug.wrappers import Response

from higgs_shop.asking.asked_inbox import (
    NO_SUCH_INBOX,
    NO_SUCH_REQUEST,
    name_of,
    request_or_404,
    session_or_404,
    token_of,
)
from higgs_shop.asking.current_visitor import submitting_untracked
from higgs_shop.asking.observers import observers_only
from higgs_shop.asking.parts import parts
from higgs_shop.inbox import (
    PRESETS,
    Dial,
    InboxError,
    InboxSession,
    NoSuchSession,
    add_session,
    claim_session,
    count_requests,
    dial_words,
    new_token,
    remove_request,
    remove_requests,
    remove_session,
    turn_dial,
)
from higgs_shop.inbox import change_secret as check_with
from higgs_shop.mistakes import mistakes_in
from higgs_shop.pages.forms import (
    BareForm,
    DialForm,
    InboxSessionForm,
    PresetForm,
    SigningSecretForm,
)
from higgs_shop.pages.inbox import NUMBER, render_inbox, render_sessions, title_of

bp = Blueprint("inbox_changes", __name__)
bp.before_request(observers_only)

_Work = Callable[[Connection, InboxSession], str]
"""What a form does with an inbox that it has claimed. Returns the notice."""


@bp.post("/inbox/sessions")
def add() -> Response | tuple[str, int]:
    """Make an inbox; the answer is its page, with its address."""
    form = InboxSessionForm()
    if not form.validate_on_submit():
        return render_sessions(form), 422
    made = InboxSession(
        workspace_id=parts().workspace_id,
        token=new_token(),
        name=form.name.data or "",
        signing_secret=form.signing_secret.data or None,
    )
    try:
        with submitting_untracked(url_for("inbox.show", name=made.token)) as (connection, sent):
            if sent.is_new:
                add_session(
                    connection, made, own_token=parts().secrets.inbox_token, now_ms=parts().clock()
                )
                flash("The inbox is there. Post to its address, and it shows here.", "info")
    except InboxError as refused:
        form.name.errors = [str(refused)]
        return render_sessions(form), 422
    return redirect(sent.location, 303)


@bp.post("/inbox/sessions/<name>/dial")
def turn(name: str) -> Response | tuple[str, int]:
    """Answer as the form says, from now on."""
    form = DialForm()
    if not form.validate_on_submit():
        abort(400)
    try:
        dial = Dial.model_validate(form.given)
    except ValidationError as error:
        form.note_mistakes(mistakes_in(Dial, form.given, error))
        return render_inbox(session_or_404(name), dial_form=form), 422
    return _turned(name, dial)


@bp.post("/inbox/sessions/<name>/preset")
def turn_to_preset(name: str) -> Response:
    """Answer as the button says, from now on."""
    form = PresetForm()
    if not form.validate_on_submit():
        abort(400)
    preset = PRESETS.get(form.preset.data or "")
    if preset is None:
        abort(400, "There is no such button. Load the page again.")
    return _turned(name, preset.dial)


@bp.post("/inbox/sessions/<name>/secret")
def change_secret(name: str) -> Response | tuple[str, int]:
    """Check signatures with another secret from now on, or with none."""
    form = SigningSecretForm()
    if not form.validate_on_submit():
        return render_inbox(session_or_404(name), secret_form=form), 422
    secret = form.signing_secret.data or None

    def work(connection: Connection, claimed: InboxSession) -> str:
        check_with(connection, claimed, secret, own_token=parts().secrets.inbox_token)
        if secret is None:
            return "Signatures are not checked any more."
        return "Signatures are checked with it from now on."

    return _changed(name, url_for("inbox.show", name=name), work)


@bp.get("/inbox/sessions/<name>/requests/remove")
def ask_to_empty(name: str) -> str:
    """How many requests would be forgotten, and the button that does it."""
    return _ask("requests", session_or_404(name))


@bp.post("/inbox/sessions/<name>/requests/remove")
def empty(name: str) -> Response:
    """Forget all requests of an inbox."""

    def work(connection: Connection, claimed: InboxSession) -> str:
        removed = remove_requests(connection, claimed)
        return "1 request is forgotten." if removed == 1 else f"{removed:,} requests are forgotten."

    return _removed(name, url_for("inbox.show", name=name), work)


@bp.get(f"/inbox/sessions/<name>/requests/<{NUMBER}:number>/remove")
def ask_to_remove_request(name: str, number: int) -> str:
    """Which request would be forgotten, and the button that does it."""
    shown = session_or_404(name)
    request_or_404(shown, number)
    return _ask("request", shown, number)


@bp.post(f"/inbox/sessions/<name>/requests/<{NUMBER}:number>/remove")
def remove_one(name: str, number: int) -> Response:
    """Forget one request."""

    def work(connection: Connection, claimed: InboxSession) -> str:
        if not remove_request(connection, claimed, number):
            abort(404, NO_SUCH_REQUEST)
        return f"Request no. {number} is forgotten."

    return _removed(name, url_for("inbox.show", name=name), work)


@bp.get("/inbox/sessions/<name>/remove")
def ask_to_remove(name: str) -> str:
    """What would be forgotten with an inbox, and the button that does it."""
    shown = session_or_404(name)
    if shown.token == parts().secrets.inbox_token:
        abort(400, "The store's own inbox stays for as long as the store does.")
    return _ask("session", shown)


@bp.post("/inbox/sessions/<name>/remove")
def remove(name: str) -> Response:
    """Forget an inbox and everything in it."""

    def work(connection: Connection, claimed: InboxSession) -> str:
        remove_session(connection, claimed, own_token=parts().secrets.inbox_token)
        return f"{title_of(claimed)} is forgotten, with everything in it."

    return _removed(name, url_for("inbox.show_sessions"), work)


def _turned(name: str, dial: Dial) -> Response:
    def work(connection: Connection, claimed: InboxSession) -> str:
        turn_dial(connection, claimed, dial)
        return dial_words(dial)

    # Whoever goes on by keyboard, or listens, is where the buttons are.
    return _changed(name, url_for("inbox.show", name=name, _anchor="dial"), work)


def _ask(what: str, shown: InboxSession, number: int | None = None) -> str:
    session.modified = True
    with parts().database.read() as connection:
        kept = count_requests(connection, shown.workspace_id, shown.token)
    return render_template(
        "pages/remove_from_inbox.html",
        what=what,
        name=name_of(shown.token),
        title=title_of(shown),
        number=number,
        kept=kept,
    )


def _removed(name: str, location: str, work: _Work) -> Response:
    if not BareForm().validate_on_submit():
        abort(400)
    return _changed(name, location, work)


def _changed(name: str, location: str, work: _Work) -> Response:
    """Let a form do its work in one transaction, once, and lead on. What is refused becomes a page."""
    try:
        with submitting_untracked(location) as (connection, sent):
            if sent.is_new:
                claimed = claim_session(
                    connection,
                    parts().workspace_id,
                    token_of(name),
                    own_token=parts().secrets.inbox_token,
                    now_ms=parts().clock(),
                )
                flash(work(connection, claimed), "info")
    except NoSuchSession:
        abort(404, NO_SUCH_INBOX)
    except InboxError as refused:
        abort(400, str(refused))
    return redirect(sent.location, 303)
