"""What other clients send: events of official SDKs, from browsers and from servers.

Read in this order: web_sdk and server_to_server (what may be asked, and what is answered), intake (from
a batch to stored events), attribution (whom it is about), checking and messages (what is right),
normalising (one spelling for all), quarantine (what was not taken in), errors,
description.
"""

from higgs_shop.intake.attribution import Resolve
from higgs_shop.intake.description import CONFIG_API, SERVER_API, WEB_API
from higgs_shop.intake.errors import BadRequest, IntakeError, Unavailable
from higgs_shop.intake.intake import Intake
from higgs_shop.intake.quarantine import OLD_QUARANTINED, Quarantined, newest
from higgs_shop.intake.server_to_server import create_server_intake
from higgs_shop.intake.web_sdk import create_web_config, create_web_intake

__all__ = [
    "CONFIG_API",
    "OLD_QUARANTINED",
    "SERVER_API",
    "WEB_API",
    "BadRequest",
    "Intake",
    "IntakeError",
    "Quarantined",
    "Resolve",
    "Unavailable",
    "create_server_intake",
    "create_web_config",
    "create_web_intake",
    "newest",
]
