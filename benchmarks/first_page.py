"""What a newcomer's browser has to fetch: the first page with its pictures, styles and scripts.

Counted on the socket of a running store, headers included. Pictures that a browser would fetch only
when they are scrolled to are counted too.
"""

import re
import socket
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import urljoin

from benchmarks.measuring import Row, Size, at_most
from benchmarks.stores import running
from higgs_shop.shop import shipped_catalog

_GOAL_KB: Final = 200
_CSS_URL: Final = re.compile(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""")
_JS_IMPORT: Final = re.compile(r"""(?:from|import)\s*\(?["'](\.{0,2}/[^"']+)""")
_FETCHED: Final = {"img": "src", "link": "href", "script": "src"}


def rows(_size: Size) -> list[Row]:
    """Bytes of everything that the page needs, and whether it shows its products without a script."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as store:
        page = _get(store.address, "/")
        html = page.partition(b"\r\n\r\n")[2].decode()
        counted = {"/": len(page)}
        waiting = _links(html, "/")
        while waiting:
            path = waiting.pop()
            if path in counted:
                continue
            answer = _get(store.address, path)
            counted[path] = len(answer)
            if path.endswith((".css", ".js")):
                waiting += _links_in_code(answer.decode("utf-8", "replace"), path)
    products = shipped_catalog().products
    without_script = sum(f"/products/{product.id}" in html for product in products)
    note = f"{len(counted)} requests, the page itself {counted['/'] / 1_000:.1f} kB"
    needed = "no" if without_script == len(products) else "yes"
    return [
        at_most(
            "first page on the wire", sum(counted.values()) / 1_000, _GOAL_KB, unit=" kB", note=note
        ),
        Row(
            "script needed for it",
            f"{needed} ({without_script} of {len(products)} products are in the HTML)",
            "no",
            needed == "no",
        ),
    ]


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        link = dict(attrs).get(_FETCHED.get(tag, ""))
        if link and not link.startswith("data:"):
            self.found.append(link)


def _links(html: str, base: str) -> list[str]:
    parser = _Links()
    parser.feed(html)
    return [urljoin(base, link) for link in parser.found]


def _links_in_code(text: str, base: str) -> list[str]:
    found = [first or second for first, second in _CSS_URL.findall(text)]
    found += _JS_IMPORT.findall(text)
    return [urljoin(base, link) for link in found if not link.startswith(("data:", "#"))]


def _get(address: str, path: str) -> bytes:
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode()
        )
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(f"{path} answered {answer[:60]!r}")
    return answer
