"""Who asks, for what, and whether they may: what every request meets before a page or an endpoint answers.

`gate` refuses, `visit_session` and `current_visitor` know who is shopping, `observers` who may look behind
the scenes; `looked_into`, `asked_connection` and `asked_inbox` find what an address names; `error_pages`
answer when nothing else does. `parts` leads to the rest of the store.
"""

from higgs_shop.asking.current_visitor import load_signed_in
from higgs_shop.asking.error_pages import add_error_pages
from higgs_shop.asking.gate import add_gate
from higgs_shop.asking.parts import keep_parts
from higgs_shop.asking.visit_session import VisitSessionInterface

__all__ = [
    "VisitSessionInterface",
    "add_error_pages",
    "add_gate",
    "keep_parts",
    "load_signed_in",
]
