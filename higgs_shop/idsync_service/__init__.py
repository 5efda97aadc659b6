"""Who is this? An embedded identity service that speaks the documented IDSync HTTP API.

Read in this order: http_api (the five calls), alias_api and aliases (the sixth), resolver (carries a call
out), resolution (from a request to a profile), priority (the walk and the ties), strategies and policies
(what to do with somebody new), changes (uniqueness, orphans), profiles and decisions (what is stored),
authentication, messages, errors. For those who look: directory (whom there is), former (whom there was),
history (how somebody came to be), lineage (from whom), preview (what would happen if). For those who call: description, with answers.
"""

from higgs_shop.identity_types import parse_mpid
from higgs_shop.idsync_service.alias_api import create_alias_service
from higgs_shop.idsync_service.aliases import Aliases
from higgs_shop.idsync_service.authentication import WorkspacesByKey
from higgs_shop.idsync_service.decisions import digest_of
from higgs_shop.idsync_service.description import ALIAS_API, API
from higgs_shop.idsync_service.errors import IdSyncError
from higgs_shop.idsync_service.http_api import create_service
from higgs_shop.idsync_service.messages import IdentityRequest, ModifyRequest
from higgs_shop.idsync_service.preview import Preview
from higgs_shop.idsync_service.profiles import NewMpid, random_mpid
from higgs_shop.idsync_service.resolver import Resolver
from higgs_shop.idsync_service.strategies import PROFILE_CONVERSION, STRATEGIES, Strategy

__all__ = [
    "ALIAS_API",
    "API",
    "PROFILE_CONVERSION",
    "STRATEGIES",
    "Aliases",
    "IdSyncError",
    "IdentityRequest",
    "ModifyRequest",
    "NewMpid",
    "Preview",
    "Resolver",
    "Strategy",
    "WorkspacesByKey",
    "create_alias_service",
    "create_service",
    "digest_of",
    "parse_mpid",
    "random_mpid",
]
