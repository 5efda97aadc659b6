"""Saying no to being tracked, and yes again."""

from urllib.parse import urlsplit

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from werkzeug.wrappers import Response

from higgs_shop.asking import current_visitor
from higgs_shop.asking.current_visitor import settle, stepping, submitting, visited
from higgs_shop.asking.parts import parts
from higgs_shop.pages.forms import BareForm

bp = visited(Blueprint("privacy", __name__))


@bp.get("/privacy")
def show() -> str:
    """What is tracked, and the choice."""
    with stepping() as step:
        step.screen_view("Privacy")
    with parts().database.read() as connection:
        urls = parts().own_inbox.webhooks(connection).values()
    hosts = dict.fromkeys(urlsplit(url).hostname for url in urls)
    return render_template("pages/privacy.html", webhook_hosts=list(hosts))


@bp.post("/privacy/opt-out")
def opt_out() -> Response:
    """From here on nothing is logged, and only the calls that signing in needs are made."""
    if not BareForm().validate_on_submit():
        abort(400)
    with submitting(url_for("privacy.show")) as step:
        discarded = parts().visitors.opt_out(step) if step.is_new else None
    message = "You are not tracked any more."
    if discarded and discarded.unattributed:
        message += f" {discarded.unattributed} events that had no profile yet were discarded."
    if discarded and discarded.unsent:
        message += f" {discarded.unsent} events that were still to be sent will not be."
    if discarded and discarded.withdrawn:
        message += (
            f" {discarded.withdrawn:,} events that were not delivered yet will not be; one that is "
            "being sent at this moment may still arrive."
        )
    flash(message, "info")
    return redirect(step.location, 303)


@bp.post("/privacy/opt-in")
def opt_in() -> Response:
    """Track this visitor again, beginning with a session and an identify."""
    if not BareForm().validate_on_submit():
        abort(400)
    with submitting(url_for("privacy.show")) as step:
        if step.is_new:
            parts().visitors.opt_in(step, current_visitor.caller())
    settle()
    flash("You are tracked again.", "info")
    return redirect(step.location, 303)
