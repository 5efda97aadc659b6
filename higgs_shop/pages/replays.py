"""Delivering again: chosen, counted, asked for, and followed until it is done."""

from contextlib import suppress
from typing import Any, Final

from flask import Blueprint, abort, redirect, render_template, request, session
from sqlalchemy import Connection
from werkzeug.wrappers import Response

from higgs_shop import outbox
from higgs_shop.asking.asked_connection import NO_SUCH_CONNECTION, connection_view, output_or_404
from higgs_shop.asking.current_visitor import submitting_untracked
from higgs_shop.asking.looked_into import choice_of, url_within, workspace_or_404
from higgs_shop.asking.observers import observers_only
from higgs_shop.asking.parts import parts
from higgs_shop.database import DatabaseBusy
from higgs_shop.outbox import MOST_COUNTED, Replay, ReplayChoice
from higgs_shop.outputs import NoSuchOutput, Output
from higgs_shop.pages.connection_forms import ReplayForm
from higgs_shop.showing import counted, short_mpid, span
from higgs_shop.webhook_output import schedule_after

bp = Blueprint("replays", __name__)
bp.before_request(observers_only)

_REPLAY: Final = "int(max=9007199254740991)"


@bp.get("/connections/<name>/replay")
def ask(name: str) -> str:
    """The choice; and, once made, how many messages it is about, with the button that does it."""
    form = ReplayForm(formdata=request.args, meta={"csrf": False})
    choice = _choice(form) if form.validate() else None
    session.modified = True
    with parts().database.read() as connection:
        output = output_or_404(connection, name)
        number = (
            None
            if choice is None
            else outbox.count_chosen(connection, output, choice, most=MOST_COUNTED + 1)
        )
        return render_template(
            "pages/replay.html",
            connection=connection_view(connection, output),
            form=form,
            number=number,
            counted=None if number is None else counted(number),
            held_up_for=span(sum(schedule_after(None, parts().settings.webhook_retry_seconds))),
            **choice_of(connection, workspace_or_404(connection), "connections.show"),
        )


@bp.post("/connections/<name>/replay")
def start(name: str) -> Response:
    """Deliver again what is chosen; the answer leads to how far it is, and waits for no more than a few."""
    form = ReplayForm()
    if not form.validate_on_submit():
        abort(400, "That choice cannot be read. Choose again.")
    location = url_within("connections.show_one", name=name, _anchor="replays")
    now_ms = parts().clock()
    try:
        with submitting_untracked(location) as (connection, sent):
            output = output_or_404(connection, name)
            if not sent.is_new:
                return redirect(location, 303)
            replay = outbox.ask_for_replay(connection, output, _choice(form), now_ms=now_ms)
    except NoSuchOutput:
        abort(404, NO_SUCH_CONNECTION)
    # The first few, which are all there are as a rule. The background goes on.
    with suppress(DatabaseBusy):
        outbox.choose_more(parts().database, output, replay.id, now_ms=now_ms)
    parts().forwarder.wake()
    return redirect(url_within("replays.show", name=name, number=replay.id), 303)


@bp.get(f"/connections/<name>/replays/<{_REPLAY}:number>")
def show(name: str, number: int) -> str:
    """How far a replay is."""
    with parts().database.read() as connection:
        output = output_or_404(connection, name)
        progress = outbox.progress_of(connection, output, number)
        if progress is None:
            abort(404)
        template = "_replay_progress.html" if request.args.get("part") else "pages/one_replay.html"
        return render_template(
            template,
            connection=connection_view(connection, output),
            number=number,
            progress=_progress_view(progress),
            **choice_of(connection, workspace_or_404(connection), "connections.show"),
        )


def replay_view(connection: Connection, output: Output, replay: Replay) -> dict[str, Any]:
    """One replay with what it chose and how far it is, for the templates."""
    progress = outbox.progress_of(connection, output, replay.id)
    chosen = replay.choice
    return {
        "id": replay.id,
        "started_at_ms": replay.started_at_ms,
        "only_dead": chosen.only_dead,
        "is_of_one": chosen.message_ids is not None or chosen.webhook_id is not None,
        "from_ms": chosen.from_ms,
        "until_ms": chosen.until_ms,
        "mpid": None if chosen.mpid is None else str(chosen.mpid),
        "mpid_short": short_mpid(chosen.mpid),
        "progress": None if progress is None else _progress_view(progress),
    }


def _progress_view(progress: outbox.Progress) -> dict[str, Any]:
    """What a later replay took over, or its person withdrew, is done with, as far as this one goes."""
    taken_over = progress.total - progress.waiting - progress.delivered - progress.dead
    return {
        "is_chosen": progress.is_chosen,
        "total": progress.total,
        "done": progress.total - progress.waiting,
        "waiting": progress.waiting,
        "delivered": progress.delivered,
        "dead": progress.dead,
        "taken_over": taken_over,
    }


def _choice(form: ReplayForm) -> ReplayChoice:
    message = form.message.data
    return ReplayChoice(
        only_dead=form.what.data != "all" and message is None,
        message_ids=None if message is None else (message,),
        from_ms=form.since.data,
        until_ms=form.until.data,
    )
