"""What a device remembers: users, newest first, one of them current."""

import pytest

from higgs_shop.identity_client import Device, User, is_mpid


def user(mpid: str, *, first_seen_ms: int = 1, last_seen_ms: int = 1) -> User:
    return User(
        mpid, {}, is_logged_in=False, first_seen_ms=first_seen_ms, last_seen_ms=last_seen_ms
    )


def test_a_new_device_has_seen_nobody() -> None:
    device = Device(stamp="S1")
    assert (device.users, device.current_user, device.current_mpid) == ((), None, None)


def test_who_becomes_current_moves_to_the_front() -> None:
    device = Device(stamp="S1")
    for mpid in ("1", "2", "1"):
        device = device.with_current(user(mpid), now_ms=1)
    assert [seen.mpid for seen in device.users] == ["1", "2"]
    assert device.current_mpid == "1"


def test_who_was_current_was_seen_until_the_change() -> None:
    device = Device(stamp="S1").with_current(user("1", last_seen_ms=10), now_ms=10)
    device = device.with_current(user("2", last_seen_ms=70), now_ms=70)
    device = device.with_current(user("3", last_seen_ms=90), now_ms=90)
    assert [(seen.mpid, seen.last_seen_ms) for seen in device.users] == [
        ("3", 90),
        ("2", 90),
        ("1", 70),
    ]


def test_changing_a_device_leaves_the_old_one_as_it_was() -> None:
    device = Device(stamp="S1")
    device.with_current(user("1"), now_ms=1)
    device.with_opt_out(True)
    device.with_context("note")
    assert device == Device(stamp="S1")


def test_an_absent_context_leaves_the_old_one() -> None:
    device = Device(stamp="S1").with_context("note")
    assert device.with_context(None).context == "note"
    assert device.with_context("newer").context == "newer"


def test_opting_out_can_be_taken_back() -> None:
    device = Device(stamp="S1").with_opt_out(True)
    assert device.opted_out
    assert not device.with_opt_out(False).opted_out


def test_a_current_user_who_was_never_seen_is_refused() -> None:
    with pytest.raises(ValueError, match="never seen"):
        Device(stamp="S1", current_mpid="4711")


def test_a_device_needs_a_stamp() -> None:
    with pytest.raises(ValueError, match="stamp"):
        Device(stamp="")


@pytest.mark.parametrize("mpid", ["1", "-1", "9223372036854775807", "-9223372036854775808"])
def test_an_mpid_is_a_signed_64_bit_decimal(mpid: str) -> None:
    assert is_mpid(mpid)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "-0",
        "007",
        "+1",
        "1.0",
        " 1",
        "1\n",
        "٣",
        "9223372036854775808",
        "../2",
        "9" * 5_000,
    ],
)
def test_anything_else_is_not(text: str) -> None:
    assert not is_mpid(text)
    with pytest.raises(ValueError, match="not a profile id"):
        user(text)
