"""Whom each identity of a profile leads to now, if a client gives nothing else.

Several profiles may hold the same device; a call returns one of them, and the others are in its shadow.
"""

from typing import Any, Final

from higgs_shop.idsync_service import Resolver
from higgs_shop.idsync_service.directory import Listed
from higgs_shop.showing.short import short_mpid
from higgs_shop.workspaces import Workspace

_MOST_ASKED: Final = 10
_WHY: Final = {
    "most_recently_seen_preferred": "was seen later",
    "smallest_mpid_preferred": "was seen at the same moment and has the smaller MPID",
    "previous_mpid_preferred": "is the current one",
}


def identities_of(
    resolver: Resolver, workspace: Workspace, profile: Listed
) -> list[dict[str, Any]]:
    """The identities of a profile, each with `leads_to`: `here`, `another` or `nobody`.

    Where it leads to another, `mpid` is that profile and `why` says what put it first, if it was a tie.
    Of many identities only the first are asked about; with the rest `leads_to` is None.
    """
    asked = [(of.identity_type, of.value) for of in profile.identities[:_MOST_ASKED]]
    finds = resolver.found_by_each(workspace, asked) if asked else {}
    identities = []
    for of in profile.identities:
        find = finds.get((of.identity_type, of.value))
        found = None if find is None else find.profile
        leads_to = None
        if find is not None:
            leads_to = "nobody" if found is None else "another"
            if found is not None and found.mpid == profile.mpid:
                leads_to = "here"
        preference = None if find is None else find.preference
        identities.append(
            {
                "type": of.identity_type,
                "value": of.value,
                "set_at_ms": of.set_at_ms,
                "leads_to": leads_to,
                "mpid": None if found is None else str(found.mpid),
                "mpid_short": None if found is None else short_mpid(found.mpid),
                "why": None if preference is None else _WHY[preference.rule],
            }
        )
    return identities
