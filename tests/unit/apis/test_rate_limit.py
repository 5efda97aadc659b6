"""How a limit counts: all at once, then evenly; and what it tells those who are refused."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higgs_shop.apis.rate_limit import Limit, RateLimiter, Usage, decide, parse_limit

NOW_MS = 1_772_360_100_000


class Bucket:
    """One bucket with a clock of its own."""

    def __init__(self, limit: Limit) -> None:
        self.now_ms = NOW_MS
        self._limiter = RateLimiter(limit, clock=lambda: self.now_ms)

    def call(self, key: str = "key") -> Usage:
        return self._limiter.count(key)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("", None),
        ("100/second", Limit(100, 1_000)),
        ("1/minute", Limit(1, 60_000)),
        ("999999/minute", Limit(999_999, 60_000)),
    ],
)
def test_a_limit_is_read_from_its_text(text: str, limit: Limit | None) -> None:
    assert parse_limit(text) == limit


def test_so_many_calls_may_come_at_once_and_the_next_is_refused() -> None:
    bucket = Bucket(Limit(4, 60_000))
    assert [bucket.call() for _ in range(5)] == [
        Usage(25),
        Usage(50),
        Usage(75),
        Usage(100),
        Usage(100, 15),
    ]


def test_who_waits_as_long_as_told_is_let_in_and_no_sooner() -> None:
    bucket = Bucket(Limit(4, 60_000))
    for _ in range(4):
        bucket.call()
    bucket.now_ms += 14_999
    assert bucket.call() == Usage(100, 1)
    bucket.now_ms += 1
    assert bucket.call() == Usage(100)
    assert bucket.call() == Usage(100, 15)


def test_a_wait_is_rounded_up_to_whole_seconds() -> None:
    bucket = Bucket(Limit(7, 60_000))
    for _ in range(7):
        bucket.call()
    assert bucket.call().retry_after_seconds == 9, "60 / 7 is 8.57"


def test_a_limit_is_whole_again_after_its_window() -> None:
    bucket = Bucket(Limit(3, 1_000))
    for _ in range(4):
        bucket.call()
    bucket.now_ms += 1_000
    assert [bucket.call().is_exceeded for _ in range(4)] == [False, False, False, True]


def test_keys_have_limits_of_their_own() -> None:
    bucket = Bucket(Limit(1, 1_000))
    assert [bucket.call(key).is_exceeded for key in ("a", "b", "a", "b")] == [
        False,
        False,
        True,
        True,
    ]


def test_a_clock_that_is_set_back_locks_nobody_out() -> None:
    bucket = Bucket(Limit(2, 1_000))
    bucket.call()
    bucket.now_ms -= 3_600_000
    assert bucket.call() == Usage(100, 1)
    bucket.now_ms += 500
    assert bucket.call() == Usage(100)


def test_the_headers_are_those_of_the_documentation_and_readable_from_any_origin() -> None:
    assert Usage(92).headers() == {
        "X-MP-Rate-Limit-Percentage-Used": "92",
        "Access-Control-Expose-Headers": (
            "X-MP-Rate-Limit-Percentage-Used, X-MP-Rate-Limit-Exceeded, Retry-After"
        ),
    }
    assert Usage(100, 7).headers() == {
        **Usage(100).headers(),
        "X-MP-Rate-Limit-Exceeded": '"app"',
        "Retry-After": "7",
    }


@given(
    limit=st.builds(Limit, st.integers(1, 9), st.sampled_from([1_000, 60_000])),
    waits_ms=st.lists(st.integers(0, 30_000), min_size=1, max_size=60),
)
def test_no_window_ever_lets_in_more_than_the_bucket_and_what_flows_in(
    limit: Limit, waits_ms: list[int]
) -> None:
    now_ms, full_at, let_in = NOW_MS, 0, []
    for wait_ms in waits_ms:
        now_ms += wait_ms
        before = full_at
        usage, full_at = decide(limit, full_at, now_ms)
        if usage.is_exceeded:
            after_ms = now_ms + usage.retry_after_seconds * 1_000
            assert not decide(limit, full_at, after_ms)[0].is_exceeded
            assert decide(limit, before, after_ms - 1_000)[0].is_exceeded, (
                "a second less is too early"
            )
        else:
            let_in.append(now_ms)
        assert 0 < usage.percentage_used <= 100
    for first, since_ms in enumerate(let_in):
        for last, until_ms in enumerate(let_in[first:], first):
            flowed_in = (until_ms - since_ms) * limit.calls / limit.window_ms
            assert last - first + 1 <= limit.calls + flowed_in


def test_threads_never_let_in_more_than_the_limit() -> None:
    bucket = Bucket(Limit(100, 60_000))
    with ThreadPoolExecutor(8) as pool:
        usages = list(pool.map(lambda _: bucket.call(), range(400)))
    assert sum(not usage.is_exceeded for usage in usages) == 100
    assert sorted(usage.percentage_used for usage in usages)[:100] == list(range(1, 101))
