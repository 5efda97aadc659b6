"""What is stored, judged and put into words: once, for pages and `/readyz` to agree on.

Nothing here knows of a request or asks Flask: what is to be shown is handed in, with the time. `short` is
how everything long is written.
"""

from higgs_shop.showing.event_delivery import deliveries_of
from higgs_shop.showing.finding import identities_of
from higgs_shop.showing.inbox_presets import presets_of
from higgs_shop.showing.next_try import next_try_of
from higgs_shop.showing.output_standing import OutputStanding, standing_of
from higgs_shop.showing.output_view import can_try_now, counted, counts_view, output_view
from higgs_shop.showing.short import ago, iso, pretty_json, sentence, short_mpid, span, utc
from higgs_shop.showing.signing_secret import secret_complaint
from higgs_shop.showing.steps import step_view
from higgs_shop.showing.timeline import Timeline, timeline_of

__all__ = [
    "OutputStanding",
    "Timeline",
    "ago",
    "can_try_now",
    "counted",
    "counts_view",
    "deliveries_of",
    "identities_of",
    "iso",
    "next_try_of",
    "output_view",
    "presets_of",
    "pretty_json",
    "secret_complaint",
    "sentence",
    "short_mpid",
    "span",
    "standing_of",
    "step_view",
    "timeline_of",
    "utc",
]
