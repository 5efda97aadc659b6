"""Which addresses may be connected to: the public ones, and what is permitted."""

from ipaddress import ip_address, ip_network

import pytest

from higgs_shop.networks import LOOPBACK, PUBLIC, SETTING, Reach, written_address
from higgs_shop.settings import variable

CLOSED = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "4000::/2",
    "5f00::/16",
    "8000::/1",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
)
CARRIERS = {
    "IPv4-compatible": "::{0:x}:{1:x}",
    "IPv4-mapped": "::ffff:{0:x}:{1:x}",
    "IPv4-translated": "::ffff:0:{0:x}:{1:x}",
    "NAT64": "64:ff9b::{0:x}:{1:x}",
    "NAT64 of a provider": "64:ff9b:1::{0:x}:{1:x}",
    "6to4": "2002:{0:x}:{1:x}::1",
    "Teredo server": "2001:0:{0:x}:{1:x}:0:ffff:f7f7:f7f7",
    "Teredo client": "2001:0:808:808:0:ffff:{2:x}:{3:x}",
}


def reach(*networks: str) -> Reach:
    return Reach(tuple(ip_network(network) for network in networks))


def carried_by(carrier: str, address: str) -> str:
    """How an IPv4 address is written within a kind of IPv6 address."""
    high, low = divmod(int(ip_address(address)), 0x1_0000)
    return CARRIERS[carrier].format(high, low, high ^ 0xFFFF, low ^ 0xFFFF)


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "198.20.0.0",
        "223.255.255.255",
        "2001:200::1",
        "2003::1",
        "2606:4700:4700::1111",
        "3ffe:ffff::1",
    ],
)
def test_a_public_address_needs_no_permission(address: str) -> None:
    assert PUBLIC.refusal(ip_address(address)) is None


@pytest.mark.parametrize("network", CLOSED)
def test_a_special_network_is_closed_from_its_first_address_to_its_last(network: str) -> None:
    for position in (0, 1, -2, -1) if ip_network(network).num_addresses > 1 else (0,):
        address = ip_network(network)[position]
        refusal = PUBLIC.refusal(address)
        assert refusal is not None, address
        assert refusal.startswith(f"{address} is in ")
        assert refusal.endswith(f"where nothing is sent unless {SETTING} lists it")


@pytest.mark.parametrize(
    ("network", "within", "beside"),
    [
        ("10.1.2.0/24", "10.1.2.3", "10.1.3.0"),
        ("169.254.169.254/32", "169.254.169.254", "169.254.169.253"),
        ("224.0.0.0/4", "239.1.2.3", "240.0.0.1"),
        ("::1/128", "::1", "127.0.0.1"),
        ("fd12:3456::/32", "fd12:3456::1", "fd12:3457::1"),
        ("64:ff9b::/96", "64:ff9b::808:808", "64:ff9b:1::808:808"),
        ("2002::/16", "2002:808:808::1", "2001:db8::1"),
        ("0.0.0.0/0", "192.168.0.1", "fe80::1"),
    ],
)
def test_what_the_operator_lists_is_open_and_what_is_beside_it_is_not(
    network: str, within: str, beside: str
) -> None:
    assert reach(network).refusal(ip_address(within)) is None
    assert reach(network).refusal(ip_address(beside))


def test_the_refusal_says_which_network_it_is() -> None:
    assert PUBLIC.refusal(ip_address("169.254.169.254")) == (
        "169.254.169.254 is in 169.254.0.0/16 (link-local), "
        "where nothing is sent unless HIGGS_SHOP_PERMITTED_NETWORKS lists it"
    )


def test_the_refusal_names_the_setting_as_it_is_spelt() -> None:
    assert variable("permitted_networks") == SETTING


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("address", ["8.8.8.8", "127.0.0.1", "10.0.0.1", "169.254.169.254"])
def test_an_address_that_stands_for_another_is_closed(carrier: str, address: str) -> None:
    assert PUBLIC.refusal(ip_address(carried_by(carrier, address)))


@pytest.mark.parametrize("carrier", CARRIERS)
def test_who_permits_all_of_ipv6_has_not_permitted_the_ipv4_addresses_behind_it(
    carrier: str,
) -> None:
    permitted = reach("::/0")

    assert permitted.refusal(ip_address(carried_by(carrier, "8.8.8.8"))) is None
    refusal = permitted.refusal(ip_address(carried_by(carrier, "127.0.0.1")))
    assert refusal is not None
    assert "stands for 127.0.0.1, which is in 127.0.0.0/8 (loopback)" in refusal
    both = reach("::/0", "127.0.0.0/8")
    assert both.refusal(ip_address(carried_by(carrier, "127.0.0.1"))) is None


@pytest.mark.parametrize("carrier", CARRIERS)
def test_permitted_loopback_is_not_reached_in_disguise(carrier: str) -> None:
    assert Reach(LOOPBACK).refusal(ip_address(carried_by(carrier, "127.0.0.1")))


@pytest.mark.parametrize("address", ["127.0.0.1", "127.255.255.254", "::1"])
def test_loopback_can_be_permitted(address: str) -> None:
    assert Reach(LOOPBACK).refusal(ip_address(address)) is None


def test_a_zone_does_not_hide_an_address() -> None:
    assert PUBLIC.refusal(ip_address("fe80::1%eth0"))


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("localhost", "127.0.0.1"),
        ("localhost.", "127.0.0.1"),
        ("shop.localhost", "127.0.0.1"),
        ("::ffff:7f00:1", "::ffff:127.0.0.1"),
    ],
)
def test_an_address_is_read_as_the_system_reads_it(host: str, address: str) -> None:
    assert written_address(host) == ip_address(address)


@pytest.mark.parametrize(
    "host", ["hook.example", "10.0.0.1.example", "localhost.example", "x", "", "1.2.3.4.5"]
)
def test_a_name_is_no_address(host: str) -> None:
    assert written_address(host) is None


@pytest.mark.parametrize(
    ("url", "closed"),
    [
        ("http://127.1/", True),
        ("https://localhost/hook", True),
        ("http://[::1]:8000/", True),
        ("http://127.0.0.1:8001/", True),
        ("http://127.0.0.1:8000/inbox/x", False),
        ("https://1.1.1.1/", False),
        ("https://hook.example/", False),
        ("", False),
    ],
)
def test_a_url_is_refused_for_the_address_that_it_spells_out(url: str, closed: bool) -> None:
    """The store's own address is no stranger's; of a name nothing is known yet."""
    refusal = Reach(own=("127.0.0.1", 8000)).refusal_of_url(url)
    assert (refusal is not None) is closed
