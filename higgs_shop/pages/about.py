"""What this is."""

from flask import Blueprint, render_template

from higgs_shop.asking.current_visitor import stepping, visited

bp = visited(Blueprint("about", __name__))


@bp.get("/about")
def show() -> str:
    """What the store is and is not."""
    with stepping() as step:
        step.screen_view("About")
    return render_template("pages/about.html")
