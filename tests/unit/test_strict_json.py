"""JSON from strangers: read whole and exactly, or refused in one sentence."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higgs_shop.strict_json import MAX_DEPTH, BadJson, loads

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


def complaint(body: bytes) -> str:
    """Why it is refused; nothing when it is not."""
    try:
        loads(body)
    except BadJson as error:
        return str(error)
    return ""


@given(VALUES)
def test_reads_back_what_json_writes(value: object) -> None:
    assert loads(json.dumps(value).encode()) == value
    assert loads(json.dumps(value, ensure_ascii=False).encode()) == value


@given(st.binary())
def test_raises_nothing_else_whatever_the_bytes(body: bytes) -> None:
    assert "\n" not in complaint(body)


@given(st.text(alphabet='[]{}",:0123456789.eE+-\\ud8tfn al'))
def test_raises_nothing_else_whatever_looks_like_json(text: str) -> None:
    assert len(complaint(text.encode())) < 300


@pytest.mark.parametrize(
    ("body", "says"),
    [
        pytest.param(b"\xff{}", "UTF-8", id="not_utf_8"),
        pytest.param(b'"\xed\xa0\x80"', "UTF-8", id="surrogate_bytes"),
        pytest.param(b"\xef\xbb\xbf{}", "byte order mark", id="byte_order_mark"),
        pytest.param(b"", "not JSON", id="empty"),
        pytest.param(b"{", "line 1", id="unfinished"),
        pytest.param(b"{} {}", "not JSON", id="two_values"),
        pytest.param(b"NaN", "NaN", id="nan"),
        pytest.param(b'{"a": Infinity}', "Infinity", id="infinity"),
        pytest.param(b"[-Infinity]", "-Infinity", id="minus_infinity"),
        pytest.param(b"1e400", "double", id="float_beyond_double"),
        pytest.param(b"-1e400", "double", id="float_beyond_double_negative"),
        pytest.param(str(2**63).encode(), "64 bits", id="integer_beyond_64_bits"),
        pytest.param(str(-(2**63) - 1).encode(), "64 bits", id="integer_below_64_bits"),
        pytest.param(b"9" * 5_000, "64 bits", id="five_thousand_digits"),
        pytest.param(b'{"a": 1, "a": 2}', "'a' stands twice", id="member_twice"),
        pytest.param(b'{"x": {"a": 1, "a": 1}}', "stands twice", id="member_twice_inside"),
        pytest.param(b'"a\\u0000b"', "NUL", id="nul"),
        pytest.param(b'{"\\u0000": 1}', "NUL", id="nul_in_a_name"),
        pytest.param(b'"\\ud800"', "surrogate", id="half_a_pair"),
        pytest.param(b'[{"\\udfff": 1}]', "surrogate", id="half_a_pair_in_a_name"),
        pytest.param(b"[" * 100_000, "deep", id="brackets_without_end"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, "deep", id="a_hundred_thousand_deep"),
        pytest.param(b'{"a":' * 64 + b"1" + b"}" * 64, "deep", id="just_too_deep"),
    ],
)
def test_refuses_what_cannot_be_kept(body: bytes, says: str) -> None:
    with pytest.raises(BadJson, match=says):
        loads(body)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        pytest.param(str(2**63 - 1).encode(), 2**63 - 1, id="largest"),
        pytest.param(str(-(2**63)).encode(), -(2**63), id="smallest"),
        pytest.param(b'"\\ud83d\\ude00"', "\U0001f600", id="a_whole_pair"),
        pytest.param(b'{"__proto__": 1}', {"__proto__": 1}, id="just_a_name"),
        pytest.param(b" [1] ", [1], id="white_space"),
    ],
)
def test_takes_what_can_be_kept(body: bytes, value: object) -> None:
    assert loads(body) == value


def test_takes_what_is_as_deep_as_allowed() -> None:
    nested = loads(b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1))
    assert isinstance(nested, list)


def test_says_nothing_of_the_content_but_a_name() -> None:
    """A message may be logged, and what people send may be theirs alone."""
    with pytest.raises(BadJson) as caught:
        loads(b'{"password": "hunter2"')
    assert "hunter2" not in str(caught.value)
