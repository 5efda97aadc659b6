"""The workspaces, side by side: make one, look at it, change and remove it.

It logs nothing, and whoever looks need be no visitor of the shop. The default workspace is shown and
left alone: its settings are the environment's.
"""

from collections.abc import Mapping
from typing import Any, Final

from flask import Blueprint, abort, flash, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from higgs_shop.asking.current_visitor import submitting_untracked
from higgs_shop.asking.looked_into import NO_SUCH_WORKSPACE
from higgs_shop.asking.observers import observers_only
from higgs_shop.asking.parts import parts
from higgs_shop.idsync_service import STRATEGIES
from higgs_shop.outputs import ensure_main_output
from higgs_shop.pages.forms import BareForm, NewWorkspaceForm, WorkspaceForm
from higgs_shop.settings import variable
from higgs_shop.workspaces import (
    MOST_COUNTED,
    DefaultWorkspace,
    ListedWorkspace,
    NoSuchWorkspace,
    WorkspaceRefused,
    add_workspace,
    as_texts,
    change_workspace,
    find_workspace,
    list_workspaces,
    listed_workspace,
    new_workspace,
    remove_workspace,
)

bp = Blueprint("workspaces", __name__)
bp.before_request(observers_only)

_OF_THE_ENVIRONMENT: Final = (
    "The default workspace takes its settings from the environment, and stays for as long as the "
    "store does."
)
_PAGE: Final = 50


@bp.get("/workspaces")
def show() -> str:
    """All of them by name, with how much is in each; and the form for another one."""
    return _render_list(NewWorkspaceForm(formdata=None))


@bp.post("/workspaces")
def add() -> Response | tuple[str, int]:
    """Make a workspace; the answer is its page, with its key."""
    form = NewWorkspaceForm()
    if not form.validate_on_submit():
        abort(400)
    name = form.id.data or ""
    try:
        workspace = new_workspace(form.texts)
        with submitting_untracked(url_for("workspaces.show_one", name=name)) as (connection, sent):
            if sent.is_new:
                now_ms = parts().clock()
                add_workspace(connection, workspace, now_ms)
                ensure_main_output(connection, workspace.id, now_ms=now_ms)
                flash(f"The workspace {name} is there.", "info")
    except WorkspaceRefused as refused:
        form.note_mistakes(refused.mistakes)
        return _render_list(form), 422
    return redirect(sent.location, 303)


@bp.get("/workspaces/<name>")
def show_one(name: str) -> str:
    """One workspace: its key, its settings, what is in it, and how to ask with its key."""
    found = _found_or_404(name)
    return _render_one(found, WorkspaceForm(formdata=None, data=_shown_texts(found)))


@bp.post("/workspaces/<name>")
def change(name: str) -> Response | tuple[str, int]:
    """Other settings for a workspace; what is in it stays as it is."""
    form = WorkspaceForm()
    if not form.validate_on_submit():
        abort(400)
    try:
        with submitting_untracked(url_for("workspaces.show_one", name=name)) as (connection, sent):
            before = find_workspace(connection, name)
            if before is None:
                abort(404, NO_SUCH_WORKSPACE)
            if sent.is_new:
                # The page does not show the secret, so an empty field leaves it as it is.
                kept = {"id": name, "api_secret": before.api_secret}
                given = {field: text for field, text in form.texts.items() if text}
                workspace = new_workspace({**kept, **given})
                change_workspace(connection, workspace)
                flash(
                    "The settings are changed." if workspace != before else "Nothing was changed.",
                    "info",
                )
    except WorkspaceRefused as refused:
        form.note_mistakes(refused.mistakes)
        return _render_one(_found_or_404(name), form), 422
    except DefaultWorkspace:
        abort(400, _OF_THE_ENVIRONMENT)
    return redirect(sent.location, 303)


@bp.get("/workspaces/<name>/remove")
def ask_to_remove(name: str) -> str:
    """What would be forgotten, and the button that does it."""
    found = _found_or_404(name)
    if found.is_default:
        abort(400, _OF_THE_ENVIRONMENT)
    session.modified = True
    return render_template("pages/remove_workspace.html", listed=_listed(found))


@bp.post("/workspaces/<name>/remove")
def remove(name: str) -> Response:
    """Forget a workspace and everything in it."""
    if not BareForm().validate_on_submit():
        abort(400)
    with submitting_untracked(url_for("workspaces.show")) as (connection, sent):
        if sent.is_new:
            try:
                remove_workspace(connection, name)
            except NoSuchWorkspace:
                abort(404, NO_SUCH_WORKSPACE)
            except DefaultWorkspace:
                abort(400, _OF_THE_ENVIRONMENT)
            flash(f"The workspace {name} is forgotten, with everything in it.", "info")
    return redirect(sent.location, 303)


def _render_list(form: NewWorkspaceForm) -> str:
    session.modified = True  # the forms' CSRF token wants a session that is kept
    with parts().database.read() as connection:
        after = request.args.get("after", "").replace("\x00", "")
        found = list_workspaces(connection, after=after, most=_PAGE + 1)
    more = found[_PAGE - 1].workspace.id if len(found) > _PAGE else None
    return render_template(
        "pages/workspaces.html",
        listed=[_listed(each) for each in found[:_PAGE]],
        more_url=None if more is None else url_for("workspaces.show", after=more),
        is_first_page=not after,
        form=form,
        strategies=STRATEGIES.values(),
    )


def _render_one(found: ListedWorkspace, form: WorkspaceForm) -> str:
    session.modified = True
    workspace = found.workspace
    is_asked = request.args.get("secret") == "shown"
    return render_template(
        "pages/one_workspace.html",
        listed=_listed(found),
        workspace=workspace,
        secret=workspace.api_secret if is_asked and not found.is_default else None,
        identify_url=f"{request.host_url}identity/v1/identify",
        form=form,
        strategies=STRATEGIES.values(),
        variables={name: variable(name) for name in _VARIABLES},
    )


def _found_or_404(name: str) -> ListedWorkspace:
    with parts().database.read() as connection:
        found = listed_workspace(connection, name)
    if found is None:
        abort(404, NO_SUCH_WORKSPACE)
    return found


def _shown_texts(found: ListedWorkspace) -> Mapping[str, str]:
    return {**as_texts(found.workspace), "api_secret": ""}


def _listed(found: ListedWorkspace) -> dict[str, Any]:
    return {
        "name": found.workspace.id,
        "is_default": found.is_default,
        "strategy": found.workspace.identity_strategy,
        "api_key": found.workspace.api_key,
        "created_at_ms": found.created_at_ms,
        "profiles": _counted(found.profiles),
        "events": _counted(found.events),
        "in_workspace": None if found.is_default else found.workspace.id,
    }


def _counted(number: int) -> str:
    return f"more than {MOST_COUNTED:,}" if number > MOST_COUNTED else f"{number:,}"


_VARIABLES: Final = (
    "idsync_key",
    "idsync_secret",
    "identity_strategy",
    "identity_priority",
    "login_ids",
    "unique_ids",
    "immutable_ids",
)
