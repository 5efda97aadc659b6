"""Which addresses the store may connect to: the public internet, and what the operator permits.

Whoever can choose where the store posts to could otherwise reach what only its machine reaches: the
services beside it, the network behind it, the credentials that a cloud hands out at 169.254.169.254.
The list is explicit, since `ipaddress.is_global` lets NAT64, 6to4, site-local and multicast pass.
Source: IANA's registries of special-purpose addresses, of IPv4 and of IPv6.
"""

import ipaddress
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

SETTING: Final = "HIGGS_SHOP_PERMITTED_NETWORKS"
"""Where an operator permits more; whoever is refused an address is told."""

LOOPBACK: Final[tuple[Network, ...]] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))

_SPECIAL: Final[Mapping[Network, str]] = {
    ipaddress.ip_network(network): use
    for network, use in (
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by a provider"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "protocol assignments"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relays"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarks"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::/96", "IPv4 in IPv6"),
        ("::ffff:0:0/96", "IPv4 in IPv6"),
        ("::ffff:0:0:0/96", "IPv4 in IPv6"),
        ("64:ff9b::/96", "NAT64"),
        ("64:ff9b:1::/48", "NAT64"),
        ("100::/64", "discarded"),
        ("2001::/32", "Teredo"),
        ("2001::/23", "protocol assignments"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "documentation"),
        ("5f00::/16", "segment routing"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
        # The rest of what is not 2000::/3, the only part that addresses of the internet are from.
        ("::/3", "unassigned"),
        ("4000::/2", "unassigned"),
        ("8000::/1", "unassigned"),
    )
}
"""What nobody needs to reach by a public URL, the narrower network before the wider one."""

_CARRIERS: Final[Mapping[IPv6Network, int]] = {
    IPv6Network("::/96"): 0,
    IPv6Network("::ffff:0:0/96"): 0,
    IPv6Network("::ffff:0:0:0/96"): 0,
    IPv6Network("64:ff9b::/96"): 0,
    IPv6Network("64:ff9b:1::/48"): 0,
    IPv6Network("2002::/16"): 80,
}
"""Networks whose addresses stand for IPv4 ones, and how many bits are to the right of those."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Where connections may go: to public addresses, and within `networks`.

    An IPv6 address that stands for an IPv4 one needs both: its own network and the other address.

    Args:
        networks: what is permitted beyond the public internet.
        own: host and port, in small letters, of the server that the store is. It may reach itself
            by this name wherever that leads: whoever says so decides as well where it listens.
    """

    networks: tuple[Network, ...] = ()
    own: tuple[str, int] | None = None

    def refusal(self, address: Address) -> str | None:
        """Why nothing is sent to this address, and what would permit it; None when it may be."""
        for each in (address, *_carried(address)):
            network = self._closed(each)
            if network is not None:
                stands_for = "" if each == address else f" stands for {each}, which"
                return (
                    f"{address}{stands_for} is in {network} ({_SPECIAL[network]}), "
                    f"where nothing is sent unless {SETTING} lists it"
                )
        return None

    def refusal_of_url(self, url: str) -> str | None:
        """The same of the address that an http or https URL spells out.

        None also for a name: its addresses are known when it is dialled, and are looked at then.
        """
        parts = urlsplit(url)
        host = parts.hostname or ""
        address = written_address(host)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        if address is None or (host, port) == self.own:
            return None
        return self.refusal(address)

    def _closed(self, address: Address) -> Network | None:
        """The special network of an address that is not permitted."""
        if any(address in network for network in self.networks):
            return None
        return next((network for network in _SPECIAL if address in network), None)


PUBLIC: Final = Reach()
"""The public internet and nothing else."""


def written_address(host: str) -> Address | None:
    """The address that a host spells, `127.1`, `0x7f.1`, `2130706433` and `localhost` among them.

    None for a name, whose addresses are known when it is looked up.
    """
    host = host.removesuffix(".")
    if host == "localhost" or host.endswith(".localhost"):
        return IPv4Address("127.0.0.1")
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def _carried(address: Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that an IPv6 one stands for."""
    # :: and ::1 only look as if they carried 0.0.0.0 and 0.0.0.1.
    if isinstance(address, IPv4Address) or int(address) <= 1:
        return
    for network, shift in _CARRIERS.items():
        if address in network:
            yield IPv4Address(int(address) >> shift & 0xFFFF_FFFF)
    yield from address.teredo or ()
