"""Who is at the browser: device, visit, session, and the identity calls that are still owed."""

from higgs_shop.visitors.arrivals import Caller
from higgs_shop.visitors.devices import DeviceUser, devices_of, newest_users, users_of
from higgs_shop.visitors.intents import Intent, latest
from higgs_shop.visitors.owed_calls import CALL_SHARE, OwedCalls
from higgs_shop.visitors.step import Step
from higgs_shop.visitors.submissions import (
    FormChanged,
    FormTokenMissing,
    Submission,
    SubmissionError,
)
from higgs_shop.visitors.visitors import Standing, Visitors, new_csrf_secret
from higgs_shop.visitors.visits import VISIT_DAYS, Visit, mark_welcomed

__all__ = [
    "CALL_SHARE",
    "VISIT_DAYS",
    "Caller",
    "DeviceUser",
    "FormChanged",
    "FormTokenMissing",
    "Intent",
    "OwedCalls",
    "Standing",
    "Step",
    "Submission",
    "SubmissionError",
    "Visit",
    "Visitors",
    "devices_of",
    "latest",
    "mark_welcomed",
    "new_csrf_secret",
    "newest_users",
    "users_of",
]
