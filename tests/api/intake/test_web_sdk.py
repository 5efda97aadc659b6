"""What the Web SDK asks of the store besides identity, and how browsers may read the answers."""

import json
from typing import Any

import pytest

from tests.api.conftest import Store
from tests.api.intake.conftest import KEY, UPLOADS, Sender, batch, errors, event, is_accepted

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

CONFIG = f"/tags/JS/v2/{KEY}/config"
FORWARDING = [f"/webevents/v{version}/JS/{KEY}/Forwarding" for version in (1, 2)]
PATHS = {
    UPLOADS: "POST",
    **dict.fromkeys(FORWARDING, "POST"),
    CONFIG: "GET",
    "/s2s/v2/events": "POST",
    "/s2s/v2/bulkevents": "POST",
    "/s2s/v2/bulkevents/historical": "POST",
}


@pytest.mark.parametrize(("path", "method"), PATHS.items())
def test_any_origin_may_ask_before_it_calls(sender: Sender, path: str, method: str) -> None:
    response = sender.client.options(path, headers={"Origin": "https://an.app"})
    assert response.status_code == 204
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert method in response.headers["Access-Control-Allow-Methods"].split(", ")
    allowed = response.headers["Access-Control-Allow-Headers"].split(", ")
    assert {"content-type", "authorization"} <= set(allowed)


@pytest.mark.parametrize("path", [*PATHS, "/webevents", "/tags/", "/s2s/v2/nothing"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_what_is_not_served_says_so_to_any_origin(sender: Sender, path: str, method: str) -> None:
    response = sender.client.open(path, method=method)
    if PATHS.get(path) == "GET" and method in {"GET", "HEAD"}:
        assert response.status_code == 200
    else:
        assert response.status_code in {404, 405}
        assert response.content_type == "application/json"
    assert response.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", PATHS)
def test_a_host_that_is_not_ours_is_not_served(sender: Sender, path: str) -> None:
    response = sender.client.open(path, method=PATHS[path], headers={"Host": "evil.example"})
    assert response.status_code == 400
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_no_cookie_is_set_and_no_visit_begun(store: Store, sender: Sender) -> None:
    response = sender.upload(batch(event()))
    assert is_accepted(response)
    assert "Set-Cookie" not in response.headers
    assert store.rows("visits") == []


def test_the_content_type_does_not_matter(store: Store, sender: Sender) -> None:
    for number, label in enumerate(["text/plain;charset=utf-8", "application/json", "", "x/y"]):
        sent = json.dumps(batch(event(event_name=str(number))))
        assert is_accepted(sender.client.post(UPLOADS, data=sent, content_type=label))
    assert [logged.name for logged in store.events()] == ["0", "1", "2", "3"]


def test_the_browser_is_told_by_its_own_header(store: Store, sender: Sender) -> None:
    for told in ({}, {"http_header_user_agent": "told"}):
        sent = json.dumps(batch(event(), device_info={"platform": "web", **told}))
        sender.client.post(UPLOADS, data=sent, headers={"User-Agent": "Netscape/4.7"})
    agents = [body["device_info"]["http_header_user_agent"] for body in store.bodies()]
    assert agents == ["Netscape/4.7", "told"]


def test_what_is_too_large_is_dropped_by_the_sdk_at_once(store: Store, sender: Sender) -> None:
    assert errors(sender.upload(b"x" * (128 * 1024 + 1)), 413)
    assert store.rows("quarantined_batches") == []


def test_the_sound_events_of_a_batch_are_kept(store: Store, sender: Sender) -> None:
    assert is_accepted(sender.upload(batch(event(), {"event_type": "dance"}, event("first_run"))))
    assert store.labels() == ["custom_event Store visit", "first_run First Run"]
    (kept,) = store.rows("quarantined_batches")
    assert kept["kept_events"] == 2
    assert [fault.partition(":")[0] for fault in kept["faults"]] == ["events.1.event_type"]


def test_a_wrong_body_that_repeats_is_kept_once(store: Store, sender: Sender) -> None:
    for _ in range(3):
        assert is_accepted(sender.upload(b"{not json"))
        assert is_accepted(
            sender.upload(batch(event(), {"event_type": "dance"}, source_request_id="r"))
        )
    assert len(store.rows("quarantined_batches")) == 2
    assert len(store.events()) == 1


def test_the_quarantine_keeps_the_newest(store: Store, sender: Sender) -> None:
    for number in range(503):
        sender.upload(str(number).encode())
    kept = [row["body"] for row in store.rows("quarantined_batches")]
    assert (len(kept), kept[0], kept[-1]) == (500, b"3", b"502")


def test_without_mpid_the_device_is_resolved(store: Store, sender: Sender) -> None:
    for mpid in (None, "4711"):
        assert is_accepted(sender.upload(batch(event(), mpid=mpid, mp_deviceid="stamp")))
    resolved, told = (logged.mpid for logged in store.events())
    assert told == 4711 != resolved
    assert is_accepted(sender.upload(batch(event(), mpid=None)))
    assert "neither an MPID" in store.rows("quarantined_batches")[0]["faults"][0]


def test_a_tag_that_the_browser_no_longer_knows_is_gone(store: Store, sender: Sender) -> None:
    def told(device: str, **attributes: Any) -> dict[str, Any]:
        sender.upload(batch(event(), mp_deviceid=device, user_attributes=attributes))
        found: dict[str, Any] = store.bodies()[-1]["user_attributes"]
        return found

    assert told("phone", vip=None, tier="gold") == {"tier": "gold", "vip": None}
    assert told("laptop") == {"tier": "gold", "vip": None}
    assert told("phone", tier="gold") == {"tier": "gold"}


@pytest.mark.parametrize("path", FORWARDING)
def test_reports_of_kits_are_accepted(store: Store, sender: Sender, path: str) -> None:
    before = store.dump()
    assert is_accepted(sender.client.post(path, data=b'{"uuid": "x", "data": []}'))
    assert errors(sender.client.post(path.replace(KEY, "nobody")), 401)
    assert store.dump() == before


def test_the_config_names_no_kit_and_writes_flags_as_texts(sender: Sender) -> None:
    response = sender.client.get(f"{CONFIG}?env=0&plan_id=x")
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    config = response.get_json()
    assert config["kitConfigs"] == config["pixelConfigs"] == []
    assert config["appName"] == "Higgs Shop"
    assert KEY not in response.text
    assert all(isinstance(value, str) for value in config["flags"].values())
    assert errors(sender.client.get(CONFIG.replace(KEY, "nobody")), 401)
    assert errors(sender.client.get(CONFIG.replace(KEY, "%00")), 401)
