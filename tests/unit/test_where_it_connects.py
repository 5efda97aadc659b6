"""The way out opens no socket but to an address that was checked, and a name can change nothing."""

import itertools
import socket
from collections.abc import Iterator, Sequence
from ipaddress import ip_network
from typing import Any

import httpcore
import pytest

from higgs_shop.networks import LOOPBACK, PUBLIC, SETTING, Reach
from higgs_shop.outgoing_http import (
    BadUrl,
    NotPermitted,
    OutgoingError,
    OutgoingHttp,
    Resolve,
)
from tests.network_faults import Receiver, Reply

PUBLIC_ADDRESS, OTHER_PUBLIC_ADDRESS = "93.184.215.14", "2606:2800:21f::1"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Closes every connection, so that the next call has to dial."""
    with Receiver(lambda _: Reply(headers={"Connection": "close"})) as receiver:
        yield receiver


@pytest.fixture
def dialled(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that sockets were opened to, in turn; all of them lead to the receiver."""
    addresses: list[str] = []
    connect = httpcore.SyncBackend.connect_tcp

    def note(
        self: httpcore.SyncBackend, host: str, _port: int, *rest: Any
    ) -> httpcore.NetworkStream:
        addresses.append(host)
        return connect(self, *receiver.address, *rest)

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", note)
    return addresses


def answering(*answers: Sequence[str]) -> Resolve:
    """A name server that has these addresses for any name, one answer after the other."""
    left = iter(answers)
    return lambda _host, _port: list(next(left))


def all_at_home(host: str, port: int) -> list[str]:
    """Numbers as the operating system reads them; every name is loopback."""
    try:
        found = socket.getaddrinfo(host, port, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return ["127.0.0.1"]
    return [str(address[0]) for *_, address in found]


def sending(resolve: Resolve, reach: Reach = PUBLIC) -> OutgoingHttp:
    return OutgoingHttp(deadline_seconds=30.0, max_answer_bytes=10, reach=reach, resolve=resolve)


def post(http: OutgoingHttp, url: str = "http://hook.example:8080/hook") -> None:
    http.post(url, content=b"{}", headers={})


@pytest.mark.parametrize(
    "host",
    [
        "0.0.0.0",  # noqa: S104 (that is what is tested)
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.31.255.255",
        "192.0.0.8",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[fe80::1%25lo]",
        "[fec0::1]",
        "[ff02::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:8.8.8.8]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[3fff::1]",
        "[5f00::1]",
        "127.1",
        "0x7f.1",
        "2130706433",
        "127\u30020\u30020\u30021",  # ideographic full stops
        "127.0.0.1.",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "hook.example",
        "hook.example@127.0.0.1",
        "93.184.215.14@10.0.0.1",
    ],
)
def test_no_spelling_leads_to_an_address_that_is_not_permitted(
    host: str, dialled: list[str]
) -> None:
    with sending(all_at_home) as http, pytest.raises(NotPermitted, match=SETTING):
        post(http, f"http://{host}:8080/hook")
    assert dialled == []


@pytest.mark.parametrize(
    "host",
    [
        "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460",  # 127.0.0.1 in circled digits
        "0177.0.0.1",
        "[name]",
        "[127.0.0.1]",
        "127.0.0.1\\@hook.example",
        "hook.example\\.127.0.0.1",
    ],
)
def test_a_host_that_only_looks_like_one_is_never_dialled(host: str, dialled: list[str]) -> None:
    with sending(all_at_home) as http, pytest.raises((BadUrl, NotPermitted)):
        post(http, f"http://{host}:8080/hook")
    assert dialled == []


def test_the_refusal_names_host_address_network_and_setting() -> None:
    with sending(answering(["10.0.0.7"])) as http, pytest.raises(NotPermitted) as refused:
        post(http)
    assert str(refused.value) == (
        "no connection to hook.example: 10.0.0.7 is in 10.0.0.0/8 (private), "
        "where nothing is sent unless HIGGS_SHOP_PERMITTED_NETWORKS lists it"
    )
    assert isinstance(refused.value, OutgoingError)


def test_a_name_is_looked_up_once_and_the_address_that_was_checked_is_dialled(
    dialled: list[str], receiver: Receiver
) -> None:
    with sending(answering([PUBLIC_ADDRESS])) as http:
        post(http)
    assert dialled == [PUBLIC_ADDRESS]
    assert receiver.requests[0].headers["host"] == "hook.example:8080"


@pytest.mark.parametrize("later", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254"])
def test_a_name_that_was_public_and_moves_is_not_followed(
    later: str, dialled: list[str], receiver: Receiver
) -> None:
    with sending(answering([PUBLIC_ADDRESS], [later], [PUBLIC_ADDRESS])) as http:
        post(http)
        with pytest.raises(NotPermitted):
            post(http)
        post(http)
    assert dialled == [PUBLIC_ADDRESS, PUBLIC_ADDRESS]
    assert len(receiver.requests) == 2


@pytest.mark.parametrize(
    "answer",
    [
        *itertools.permutations([PUBLIC_ADDRESS, OTHER_PUBLIC_ADDRESS, "127.0.0.1"]),
        (PUBLIC_ADDRESS, "::1"),
        (PUBLIC_ADDRESS, "64:ff9b::a00:1"),
        ("::ffff:8.8.8.8", PUBLIC_ADDRESS),
    ],
    ids=",".join,
)
def test_one_address_that_is_not_permitted_refuses_the_name(
    answer: Sequence[str], dialled: list[str]
) -> None:
    with sending(answering(answer)) as http, pytest.raises(NotPermitted):
        post(http)
    assert dialled == []


def test_the_first_of_several_public_addresses_is_dialled(dialled: list[str]) -> None:
    with sending(answering([OTHER_PUBLIC_ADDRESS, PUBLIC_ADDRESS])) as http:
        post(http)
    assert dialled == [OTHER_PUBLIC_ADDRESS]


def test_an_answer_that_is_no_address_is_never_dialled(dialled: list[str]) -> None:
    with sending(answering([PUBLIC_ADDRESS, "127.1"])) as http, pytest.raises(BadUrl):
        post(http)
    assert dialled == []


def test_a_network_that_is_permitted_is_reached_and_the_one_beside_it_is_not(
    dialled: list[str],
) -> None:
    permitted = Reach((ip_network("10.1.2.0/24"),))
    with sending(answering(["10.1.2.3"], ["10.1.3.3"]), permitted) as http:
        post(http)
        with pytest.raises(NotPermitted):
            post(http)
    assert dialled == ["10.1.2.3"]


def test_nothing_but_the_public_internet_is_reached_by_default(receiver: Receiver) -> None:
    with (
        OutgoingHttp(deadline_seconds=30.0, max_answer_bytes=10) as http,
        pytest.raises(NotPermitted),
    ):
        post(http, receiver.url)
    assert receiver.connections == 0


def test_where_loopback_is_permitted_a_name_of_it_is_reached(dialled: list[str]) -> None:
    with sending(answering(["::1", "127.0.0.1"]), Reach(LOOPBACK)) as http:
        post(http, "http://localhost:8080/")
    assert dialled == ["::1"]


@pytest.mark.parametrize("own", ["127.0.0.1", "10.0.0.5", "shop.internal", "Shop.Internal"])
def test_a_store_reaches_itself_by_its_own_host_and_port(own: str, dialled: list[str]) -> None:
    with sending(all_at_home, Reach(own=(own.lower(), 8000))) as http:
        post(http, f"http://{own}:8000/inbox/token")
        assert len(dialled) == 1
        for other in (f"http://{own}:8001/", f"http://{own}/", "http://127.0.0.2:8000/"):
            with pytest.raises(NotPermitted):
                post(http, other)
    assert len(dialled) == 1
