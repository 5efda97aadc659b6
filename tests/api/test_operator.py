"""Who may look at what the store observes: this very machine in development, or whoever knows a token."""

from typing import Final

import pytest

from tests.api.browsing import Browser
from tests.api.conftest import PRODUCTION, OpenStore, Store

TOKEN: Final = "let me look"
OBSERVED: Final = (
    "/inbox",
    "/inbox/requests/1",
    "/inbox/sessions",
    "/inbox/sessions/1",
    "/inbox/sessions/1/remove",
    "/inbox/sessions/default/requests/remove",
    "/inbox/sessions/default/requests/1/remove",
    "/x-ray",
    "/x-ray/fragment",
    "/profiles",
    "/profiles/1",
    "/intake",
    "/workspaces",
    "/workspaces/default",
    "/workspaces/default/remove",
)


def looks(store: Store, path: str = "/inbox", *, peer: str = "127.0.0.1", **headers: str) -> int:
    """The status that somebody gets who comes from there."""
    host = headers.pop("Host", "localhost")
    page = store.browser(**headers).open(
        path, environ_overrides={"REMOTE_ADDR": peer, "HTTP_HOST": host}
    )
    return page.status


def test_in_development_whoever_sits_at_this_machine_may_look(store: Store) -> None:
    for peer, host in (
        ("127.0.0.1", "localhost"),
        ("127.0.0.1", "127.0.0.1:8000"),
        ("127.8.9.1", "localhost:8000"),
        ("::1", "[::1]:8000"),
    ):
        assert looks(store, peer=peer, Host=host) == 200


def test_another_machine_may_not(store: Store) -> None:
    for path in OBSERVED:
        for peer in ("192.168.1.7", "10.0.0.1", "::ffff:10.0.0.1", "fe80::1", "", "unknown"):
            assert looks(store, path, peer=peer) == 404, (path, peer)


def test_a_host_that_is_not_loopback_may_not(open_store: OpenStore) -> None:
    store = open_store(trusted_hosts=("localhost", "shop.example", "192.168.1.7"))
    assert looks(store) == 200
    for host in ("shop.example", "192.168.1.7"):
        assert looks(store, Host=host) == 404


@pytest.mark.parametrize(
    "header",
    [
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Port",
        "X-Forwarded-Server",
        "X-Forwarded-Prefix",
        "X-Real-IP",
        "X-Client-IP",
        "X-Cluster-Client-IP",
        "True-Client-IP",
        "CF-Connecting-IP",
        "Via",
    ],
)
def test_what_a_proxy_has_passed_on_may_not(open_store: OpenStore, header: str) -> None:
    value = {"X-Forwarded-Host": "localhost", "X-Forwarded-Proto": "http"}.get(header, "127.0.0.1")
    for hops in (0, 1):
        assert looks(open_store(proxy_hops=hops), **{header: value}) == 404


def test_shop_pages_show_no_x_ray_to_those_who_may_not_look(store: Store) -> None:
    near = store.browser().get("/about")
    far = store.browser().open("/about", environ_overrides={"REMOTE_ADDR": "192.168.1.7"})
    assert near.has("x-ray-event")
    assert not far.has("x-ray-event")
    assert "higgs_shop/pages" not in far.html
    assert far.one("mpid")["data-mpid"]


def test_without_a_token_there_is_nothing_to_ask_for(store: Store) -> None:
    assert store.browser().get("/operator").status == 404


def test_production_without_a_token_shows_nothing(production: Store) -> None:
    visitor = production.browser()
    for path in (*OBSERVED, "/operator"):
        assert visitor.get(path).status == 404
        environ = {"REMOTE_ADDR": "127.0.0.1"}
        assert visitor.open(path, environ_overrides=environ).status == 404


@pytest.mark.parametrize("environment", ["development", "production"])
def test_a_token_is_asked_for_once(open_store: OpenStore, environment: str) -> None:
    store = open_store(operator_token=TOKEN, **(PRODUCTION if environment == "production" else {}))
    observer = store.browser()
    for path in OBSERVED:
        assert observer.get(path).location == f"/operator?next={path}"
    page = observer.follow(observer.get("/x-ray"))
    answer = observer.submit(page, "operator-enter", token=TOKEN)
    assert answer.location == "/x-ray"
    assert observer.follow(answer).status == 200
    assert observer.get("/inbox").status == 200
    assert store.browser().get("/inbox").status == 302
    store.clock.forward(minutes=1)
    assert observer.get("/inbox").status == 200


def test_looking_in_from_outside_needs_the_token_alone(open_store: OpenStore) -> None:
    store = open_store(operator_token=TOKEN, proxy_hops=1)
    observer = Browser(store.app, headers={"X-Forwarded-For": "192.0.2.1"})
    observer.submit(observer.get("/operator"), "operator-enter", token=TOKEN)
    assert observer.get("/inbox").status == 200


def test_a_wrong_token_is_refused_and_not_shown_again(open_store: OpenStore) -> None:
    store = open_store(operator_token=TOKEN)
    observer = store.browser()
    page = observer.get("/operator")
    for wrong in (
        "",
        "let me loo",
        "let me look ",
        "Let me look",
        "lét me look",
        "\x00",
        "x" * 999,
    ):
        page = observer.submit(page, "operator-enter", token=wrong)
        assert page.status == 422, wrong
        assert page.one("operator-token").attributes.get("value", "") == ""
        assert observer.cookie("higgs_operator") is None
    assert observer.get("/inbox").status == 302


def test_the_cookie_is_signed_with_the_token_it_was_given_for(
    open_store: OpenStore,
) -> None:
    store = open_store(operator_token=TOKEN)
    observer = store.browser()
    observer.submit(observer.get("/operator"), "operator-enter", token=TOKEN)
    right = observer.cookie("higgs_operator")
    assert right is not None
    for wrong in ("", "observer", right[:-1], "x" + right, right.replace(".", "", 1), "é", "a.b.c"):
        forger = store.browser()
        forger.client.set_cookie("higgs_operator", wrong, domain="localhost")
        assert forger.get("/inbox").status == 302, wrong
    other = open_store(operator_token="another token").browser()
    other.client.set_cookie("higgs_operator", right, domain="localhost")
    assert other.get("/inbox").status == 302


def test_the_operator_is_nobody_in_the_shop(open_store: OpenStore) -> None:
    store = open_store(operator_token=TOKEN)
    observer = store.browser()
    observer.submit(observer.get("/operator"), "operator-enter", token=TOKEN)
    observer.get("/inbox")
    assert store.events() == []
    assert observer.get("/account").headline == "Sign in"
