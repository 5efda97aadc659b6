"""The command that sends a request again: what a shell makes of it, word by word."""

import shlex

import pytest

from higgs_shop.inbox import as_curl
from tests.unit.inbox.requests import request

ORIGIN = "http://127.0.0.1:8000"
KNOWN = (("Accept", "*/*"), ("User-Agent", "me"), ("Content-Type", "text/plain"))


def words(command: str) -> list[str]:
    """What the shell hands to curl."""
    return shlex.split(command.replace("\\\n", ""), comments=True)


def test_headers_and_body_are_each_one_word() -> None:
    command = as_curl(request(b"a 'quoted' $HOME `id`\n\tbody", *KNOWN), ORIGIN)

    assert words(command) == [
        *("curl", "--globoff", "-X", "POST", f"{ORIGIN}/inbox/hook"),
        *("-H", "Accept: */*", "-H", "User-Agent: me", "-H", "Content-Type: text/plain"),
        *("--data-binary", "a 'quoted' $HOME `id`\n\tbody"),
    ]


def test_what_belongs_to_the_connection_is_left_to_curl() -> None:
    own = [("Host", "x"), ("Content-Length", "9"), ("Connection", "close"), ("Expect", "100")]

    assert "x" not in words(as_curl(request(b"", *own), ORIGIN))
    assert words(as_curl(request(b"", *own), ORIGIN))[5:11] == [
        *("-H", "User-Agent:", "-H", "Accept:", "-H", "Content-Type:"),
    ]


def test_a_header_without_a_value_is_sent_without_one() -> None:
    assert "X-Empty;" in words(as_curl(request(b"", ("X-Empty", "")), ORIGIN))


def test_a_masked_header_is_left_out_and_said_so() -> None:
    command = as_curl(request(b"", ("Authorization", "Bearer •••")), ORIGIN)

    assert command.startswith("# Authorization is not kept here; put it in yourself.\ncurl ")
    assert not any("Authorization" in word for word in words(command))


@pytest.mark.parametrize(
    ("value", "typed"),
    [
        pytest.param("Ã¼", "X: ü", id="UTF-8, as WSGI reads it"),
        pytest.param("ü", None, id="Latin-1"),
        pytest.param("\x1b[31m", None, id="an escape sequence"),
        pytest.param("\u202e", None, id="beyond Latin-1"),
    ],
)
def test_a_header_is_typed_as_its_bytes_or_not_at_all(value: str, typed: str | None) -> None:
    command = as_curl(request(b"", ("X", value)), ORIGIN)

    assert (typed in words(command)) if typed else command.startswith("# X cannot be typed")


def test_a_header_with_an_odd_name_is_no_option_of_curls() -> None:
    command = as_curl(request(b"", ("@/etc/passwd\nid", "x")), ORIGIN)

    assert command.startswith("# @/etc/passwdid cannot be typed in a command.\ncurl ")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\x00\xff", id="bytes"),
        pytest.param(b"@/etc/passwd", id="what curl takes for a file"),
        pytest.param(b"\x1b]0;x\x07", id="what a terminal would obey"),
        pytest.param(b"a\r\nb", id="carriage return"),
        pytest.param("\u202eabc".encode(), id="right to left"),
        pytest.param(b"x" * 100_001, id="longer than a word may be"),
    ],
)
def test_a_body_that_is_no_plain_text_travels_as_base64(body: bytes) -> None:
    command = as_curl(request(body, *KNOWN), ORIGIN)

    assert command.startswith("printf %s ")
    assert "| base64 -d | curl" in command
    assert words(command)[-2:] == ["--data-binary", "@-"]
    assert command.isascii()


def test_the_path_stays_as_it_was_and_the_servers_certificate_is_named() -> None:
    odd = request(b"", path="/inbox/hook?a=b%20c&d=[1]{2}'é")
    command = as_curl(odd, ORIGIN, certificate="/a folder/certificate.pem")

    assert words(command)[4:7] == [
        f"{ORIGIN}/inbox/hook?a=b%20c&d=[1]{{2}}'%C3%A9",
        "--cacert",
        "/a folder/certificate.pem",
    ]
