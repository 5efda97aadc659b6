"""The official Python client, unmodified and only configured, sends every kind of event that it has."""

import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.browser.store_process import StoreProcess
from tests.network_faults import Receiver

with warnings.catch_warnings():
    # It compares texts with `is`, at which Python warns when it reads the code.
    warnings.simplefilter("ignore")
    import mparticle
    from mparticle.models.batch_context import BatchContext
    from mparticle.models.data_plan_context import DataPlanContext
    from mparticle.models.user_attribute_change_event import UserAttributeChangeEvent
    from mparticle.rest import ApiException

DOCS: Final = Path(__file__).parents[3] / "docs/official-clients.md"
MPID: Final = -9_007_199_254_740_993  # beyond what a double holds
STARTED_MS: Final = 1_772_360_100_000
SESSION: Final = "0B7F3D64-1F0A-4C2A-9D55-2F3C8A5F1E10"

# urllib3 will rename what the client asks an error's answer for.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mparticle")


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def served(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreProcess]:
    """A store in a process of its own."""
    folder: Path = tmp_path_factory.mktemp("store")
    with StoreProcess(folder, WEBHOOK_URL=f"{receiver.url}/hook") as served:
        served.send_attribute_changes()
        yield served


@pytest.fixture
def api(served: StoreProcess) -> Any:
    """The client, pointed at the store."""
    return client(served, secret="demo-web-secret")


def client(served: StoreProcess, *, secret: str) -> Any:
    configuration = mparticle.Configuration()
    configuration.host = f"{served.address}/s2s/v2"
    configuration.api_key = "demo-web-key"
    configuration.api_secret = secret
    return mparticle.EventsApi(configuration)


def arrived(served: StoreProcess, receiver: Receiver, request_id: str) -> list[dict[str, Any]]:
    """The bodies that a receiver got of one batch, once everything is delivered."""
    served.wait_until_delivered()
    bodies = [json.loads(request.body) for request in receiver.requests]
    return [body for body in bodies if body["source_request_id"] == request_id]


def every_kind() -> list[Any]:
    """One event of each kind that the client has, a second apart, in reverse order."""
    product = mparticle.Product(
        id="HG-TEE-S", name="Boson Tee", price=25.0, quantity=2.0, total_product_amount=50.0
    )
    events = [
        mparticle.SessionStartEvent(),
        mparticle.ApplicationStateTransitionEvent(
            application_transition_type="application_initialized", is_first_run=True
        ),
        mparticle.FirstRunEvent(),
        mparticle.ScreenViewEvent(screen_name="Landing"),
        mparticle.AppEvent(
            event_name="Signed Up",
            custom_event_type="user_preference",
            custom_attributes={"plan": "gold", "seats": 3, "trial": True, "note": None},
        ),
        mparticle.AppEvent(
            event_name="Play",
            custom_event_type="other",
            media_info=mparticle.MediaInfo(action="play"),
        ),
        mparticle.CommerceEvent(
            product_action=mparticle.ProductAction(
                action="purchase", transaction_id="T-1", total_amount=50.0, products=[product]
            ),
            currency_code="USD",
        ),
        mparticle.CommerceEvent(
            product_action=mparticle.ProductAction(
                action="remove_from_wish_list", products=[product]
            )
        ),
        mparticle.CommerceEvent(
            promotion_action=mparticle.PromotionAction(
                action="view", promotions=[mparticle.Promotion(id="P1", name="Spring")]
            )
        ),
        mparticle.CommerceEvent(
            product_impressions=[
                mparticle.ProductImpression(product_impression_list="Home", products=[product])
            ]
        ),
        mparticle.CrashReportEvent(message="boom", class_name="ValueError", severity="fatal"),
        mparticle.PushRegistrationEvent(register=True, registration_token="t-1"),
        mparticle.PushMessageEvent(
            push_message_token="t-1", push_message_type="received", push_notification_payload="{}"
        ),
        mparticle.NetworkPerformanceEvent(url="https://an.app/", response_code=200),
        mparticle.BreadcrumbEvent(label="cart"),
        mparticle.ProfileEvent(profile_event_type="signup"),
        UserAttributeChangeEvent(
            user_attribute_name="tier", new="gold", old=None, deleted=False, is_new_attribute=True
        ),
        mparticle.OptOutEvent(is_opted_out=True),
        mparticle.SessionEndEvent(session_duration_ms=5_000),
    ]
    for number, event in enumerate(events):
        event.timestamp_unixtime_ms = STARTED_MS + number * 1_000
        event.session_uuid = SESSION
        event.source_message_id = f"message-{number}"
    return events[::-1]


def test_every_kind_of_event_arrives_under_its_person_in_order(
    served: StoreProcess, receiver: Receiver, api: Any
) -> None:
    batch = mparticle.Batch(environment="production", mpid=MPID, source_request_id="every kind")
    batch.user_identities = mparticle.UserIdentities(customerid="C-1001", email="ada@example.test")
    batch.user_attributes = {"name": "Ada", "tags": ["a", "b"]}
    batch.device_info = mparticle.DeviceInformation(platform="iOS", brand="Apple", is_tablet=False)
    batch.application_info = mparticle.ApplicationInformation(application_name="An app")
    batch.consent_state = mparticle.ConsentState()
    batch.consent_state.gdpr = {"ads": mparticle.GDPRConsentState(consented=True)}
    batch.integration_attributes = {"70": {"id": "7"}}
    batch.context = BatchContext(data_plan=DataPlanContext(plan_id="plan", plan_version=2))
    batch.events = every_kind()
    assert api.upload_events(batch)[1] == 202

    bodies = arrived(served, receiver, "every kind")

    events = [body["events"][0] for body in bodies]
    assert [event["event_type"] for event in events] == [
        "session_start",
        "application_state_transition",
        "first_run",
        "screen_view",
        "custom_event",
        "custom_event",
        "commerce_event",
        "commerce_event",
        "commerce_event",
        "commerce_event",
        "crash_report",
        "push_registration",
        "push_message",
        "network_performance",
        "breadcrumb",
        "profile",
        "user_attribute_change",
        "opt_out",
        "session_end",
    ]
    data = [event["data"] for event in events]
    assert [each["timestamp_unixtime_ms"] for each in data] == [
        STARTED_MS + number * 1_000 for number in range(19)
    ]
    assert {each["session_uuid"] for each in data} == {SESSION}
    assert len({each["session_id"] for each in data}) == 1
    assert [body["context"]["mpid_sequence"] for body in bodies] == list(range(1, 20))
    attributes = {"plan": "gold", "seats": 3, "trial": True, "note": None}
    assert data[4]["custom_attributes"] == attributes
    assert data[5]["media_info"] == {"action": "play"}
    assert data[6]["product_action"]["transaction_id"] == "T-1"
    assert data[6]["product_action"]["products"][0]["id"] == "HG-TEE-S"
    assert data[7]["product_action"]["action"] == "remove_from_wish_list"
    assert data[8]["promotion_action"]["action"] == "view"
    assert data[9]["product_impressions"][0]["product_impression_list"] == "Home"
    assert data[10]["class_name"] == "ValueError"
    assert data[13]["response_code"] == 200
    body = bodies[0]
    assert body["mpid"] == MPID
    assert {each["identity_type"]: each["identity"] for each in body["user_identities"]} == {
        "customer_id": "C-1001",
        "email": "ada@example.test",
    }
    assert body["user_attributes"] == {"name": "Ada", "tags": ["a", "b"], "tier": "gold"}
    assert body["device_info"] == {"platform": "iOS", "brand": "Apple", "is_tablet": False}
    assert body["application_info"] == {"application_name": "An app"}
    assert body["consent_state"] == {"gdpr": {"ads": {"consented": True}}}
    assert body["integration_attributes"] == {"70": {"id": "7"}}
    assert body["context"]["data_plan"] == {"plan_id": "plan", "plan_version": 2}
    assert body["source_info"]["channel"] == "server_to_server"
    assert body["environment"] == "production"


def test_the_lines_in_the_docs_work(served: StoreProcess, receiver: Receiver) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    exec(code.replace("http://127.0.0.1:8000", served.address), {})  # noqa: S102 (ours)
    served.wait_until_delivered()
    body = json.loads(receiver.requests[-1].body)
    assert body["events"][0]["data"]["screen_name"] == "Landing"
    identities = {each["identity_type"]: each["identity"] for each in body["user_identities"]}
    assert identities == {"customer_id": "C-1001", "email": "ada@example.test"}


def test_a_batch_that_is_sent_again_arrives_once(
    served: StoreProcess, receiver: Receiver, api: Any
) -> None:
    batch = mparticle.Batch(environment="development", mpid=1, source_request_id="again")
    batch.events = [mparticle.ScreenViewEvent(screen_name="Landing")]
    api.upload_events(batch)
    api.upload_events(batch)
    api.bulk_upload_events([batch, batch])
    assert len(arrived(served, receiver, "again")) == 1


def test_people_without_an_mpid_are_found_by_their_identities(
    served: StoreProcess, receiver: Receiver, api: Any
) -> None:
    for name, identities in (
        ("first", mparticle.UserIdentities(customerid="C-7")),
        ("second", mparticle.UserIdentities(customerid="C-7", other_id_3="x")),
        ("other", mparticle.UserIdentities(customerid="C-8")),
    ):
        batch = mparticle.Batch(environment="production", source_request_id=name)
        batch.user_identities = identities
        batch.events = [mparticle.SessionStartEvent()]
        api.bulk_upload_events([batch])
    (first,), (second,), (other,) = (
        arrived(served, receiver, name) for name in ("first", "second", "other")
    )
    assert first["mpid"] == second["mpid"] != other["mpid"]
    assert [each["identity_type"] for each in second["user_identities"]] == [
        "customer_id",
        "other_id_3",
    ]


def test_a_batch_may_be_about_attributes_alone(
    served: StoreProcess, receiver: Receiver, api: Any
) -> None:
    batch = mparticle.Batch(environment="production", mpid=2, source_request_id="attributes")
    batch.user_attributes = {"tier": "gold"}
    api.upload_events(batch)
    (body,) = arrived(served, receiver, "attributes")
    assert (body["events"], body["user_attributes"]) == ([], {"tier": "gold"})


def test_the_client_is_told_what_is_wrong(served: StoreProcess, api: Any) -> None:
    nobody = mparticle.Batch(environment="production")
    with pytest.raises(ApiException) as refused:
        api.upload_events(nobody)
    assert refused.value.status == 400
    (error,) = json.loads(refused.value.body)["errors"]
    assert error["code"] == "BAD_REQUEST"
    assert "neither an MPID nor identities" in error["message"]
    with pytest.raises(ApiException) as unknown:
        client(served, secret="wrong").upload_events(nobody)
    assert unknown.value.status == 403
