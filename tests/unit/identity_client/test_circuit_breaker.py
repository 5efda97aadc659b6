"""When a service that keeps failing is left alone, and how it comes back. Time is set, not waited for."""

import contextlib
import doctest
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from higgs_shop.identity_client import (
    AliasRequest,
    CircuitOpen,
    Device,
    Hmac,
    IdentityClient,
    IdentityError,
    NoAnswer,
    NoConnection,
    TooManyRequests,
    circuit_breaker,
)
from higgs_shop.identity_client.circuit_breaker import CircuitBreaker
from higgs_shop.outgoing_http import OutgoingHttp

CALLERS = 50
NOW_MS = 1_772_360_100_000
DEVICE = Device(stamp="0b7f3d64")
CARRY_OVER = AliasRequest("4711", "4712", 1, 2)
ANSWER = {"mpid": "4711", "is_logged_in": False, "matched_identities": {}}

Answer = httpx.Response | Exception


class Clock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(clock)


def call(breaker: CircuitBreaker, *, answered: bool | None) -> None:
    breaker.leave(breaker.enter(), answered=answered)


def is_open(breaker: CircuitBreaker) -> bool:
    return breaker.pause_left_ms > 0


def opened(breaker: CircuitBreaker) -> None:
    for _ in range(5):
        call(breaker, answered=False)
    assert is_open(breaker)


class TestTheCircuit:
    """The states, one after the other."""

    def test_it_opens_at_the_fifth_failure(self, breaker: CircuitBreaker) -> None:
        for _ in range(4):
            call(breaker, answered=False)
            assert not is_open(breaker)
        call(breaker, answered=False)
        assert is_open(breaker)

    @pytest.mark.parametrize(("apart_ms", "opens"), [(2_500, True), (2_501, False)])
    def test_only_failures_within_ten_seconds_count(
        self, breaker: CircuitBreaker, clock: Clock, apart_ms: int, opens: bool
    ) -> None:
        for _ in range(5):
            call(breaker, answered=False)
            clock.now_ms += apart_ms if not is_open(breaker) else 0
        assert is_open(breaker) == opens

    @pytest.mark.parametrize("answered", [True, None], ids=["answers", "says nothing"])
    def test_what_is_no_failure_never_opens_it(
        self, breaker: CircuitBreaker, answered: bool | None
    ) -> None:
        for _ in range(100):
            call(breaker, answered=answered)
        assert not is_open(breaker)

    def test_open_it_refuses_and_says_how_long(self, breaker: CircuitBreaker, clock: Clock) -> None:
        opened(breaker)
        clock.now_ms += 1_000
        with pytest.raises(CircuitOpen) as refused:
            breaker.enter()
        assert refused.value.retry_after_seconds == 4.0
        assert breaker.pause_left_ms == 4_000

    def test_one_probe_at_a_time_and_three_answers_close_it(
        self, breaker: CircuitBreaker, clock: Clock
    ) -> None:
        opened(breaker)
        clock.now_ms += 5_000
        for _ in range(3):
            probe = breaker.enter()
            with pytest.raises(CircuitOpen):
                breaker.enter()
            breaker.leave(probe, answered=True)
        assert {breaker.enter(), breaker.enter()}, "as many as like"
        for _ in range(4):
            call(breaker, answered=False)
        assert not is_open(breaker), "failures from before are forgotten"

    def test_a_failed_probe_opens_it_again_for_as_long(
        self, breaker: CircuitBreaker, clock: Clock
    ) -> None:
        opened(breaker)
        clock.now_ms += 5_000
        call(breaker, answered=True)
        call(breaker, answered=True)
        call(breaker, answered=False)
        assert breaker.pause_left_ms == 5_000
        clock.now_ms += 5_000
        call(breaker, answered=True)
        call(breaker, answered=True)
        probe = breaker.enter()
        with pytest.raises(CircuitOpen):
            breaker.enter()
        breaker.leave(probe, answered=True)

    def test_a_probe_that_says_nothing_makes_place_for_the_next(
        self, breaker: CircuitBreaker, clock: Clock
    ) -> None:
        opened(breaker)
        clock.now_ms += 5_000
        call(breaker, answered=None)
        call(breaker, answered=True)

    def test_a_call_from_before_says_nothing_about_now(
        self, breaker: CircuitBreaker, clock: Clock
    ) -> None:
        """It began while all was well, and comes back when the circuit is half-open."""
        stragglers = [breaker.enter() for _ in range(4)]
        opened(breaker)
        clock.now_ms += 5_000
        probe = breaker.enter()
        breaker.leave(stragglers[0], answered=False)
        for straggler in stragglers[1:]:
            breaker.leave(straggler, answered=True)
        with pytest.raises(CircuitOpen):
            breaker.enter()
        breaker.leave(probe, answered=True)
        assert not is_open(breaker)

    @pytest.mark.parametrize("by_ms", [-3_600_000, 86_400_000], ids=["back", "forward"])
    def test_a_clock_that_is_set_makes_no_pause_longer(
        self, breaker: CircuitBreaker, clock: Clock, by_ms: int
    ) -> None:
        opened(breaker)
        clock.now_ms += by_ms
        assert not is_open(breaker)

    @given(
        st.lists(
            st.tuples(st.sampled_from([True, False, None]), st.integers(0, 6_000)), max_size=60
        )
    )
    def test_whatever_happens_it_is_never_shut_for_good(
        self, steps: list[tuple[bool | None, int]]
    ) -> None:
        clock = Clock()
        breaker = CircuitBreaker(clock)
        for answered, wait_ms in steps:
            with contextlib.suppress(CircuitOpen):
                call(breaker, answered=answered)
            assert breaker.pause_left_ms <= 5_000
            clock.now_ms += wait_ms
        clock.now_ms += 5_000
        for _ in range(3):
            call(breaker, answered=True)
        assert {breaker.enter(), breaker.enter()}


def client_of(
    answer: Callable[[httpx.Request], httpx.Response], clock: Callable[[], int]
) -> IdentityClient:
    return IdentityClient(
        base_url="https://identity.example/v1",
        alias_url="https://alias.example/v1/identity",
        auth=Hmac("key", "secret", clock),
        http=OutgoingHttp(
            deadline_seconds=30,
            max_answer_bytes=65_536,
            max_connections=CALLERS,
            transport=httpx.MockTransport(answer),
        ),
        clock=clock,
    )


class Service:
    """Says the same every time, and counts how often it was asked."""

    def __init__(self) -> None:
        self.says: Answer = httpx.Response(200, json=ANSWER)
        self.asked = 0

    def __call__(self, _request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


class TestTheClient:
    """What counts, and that every call is behind the breaker."""

    @pytest.fixture
    def service(self) -> Service:
        return Service()

    @pytest.fixture
    def client(self, service: Service, clock: Clock) -> IdentityClient:
        return client_of(service, clock)

    def fail(self, client: IdentityClient, times: int) -> None:
        for _ in range(times):
            with pytest.raises(IdentityError):
                client.identify(DEVICE)

    @pytest.mark.parametrize(
        "says",
        [
            httpx.ConnectError("refused"),
            httpx.ReadTimeout("slow"),
            httpx.ReadError("reset"),
            httpx.Response(500),
            httpx.Response(502),
            httpx.Response(503),
            httpx.Response(504),
        ],
        ids=lambda says: str(getattr(says, "status_code", says)),
    )
    def test_who_does_not_answer_is_left_alone(
        self, service: Service, client: IdentityClient, says: Answer
    ) -> None:
        service.says = says
        self.fail(client, 5)
        with pytest.raises(CircuitOpen) as refused:
            client.identify(DEVICE)
        assert isinstance(refused.value, NoConnection)
        assert isinstance(refused.value, NoAnswer)
        assert refused.value.code == "circuit_open"
        assert service.asked == 5

    @pytest.mark.parametrize(
        "says",
        [
            *(httpx.Response(code) for code in (400, 401, 403, 404, 409, 413, 429)),
            httpx.Response(302),
            httpx.Response(200, text="<h1>It works!</h1>"),
            httpx.Response(503, headers={"Retry-After": "1"}),
            httpx.LocalProtocolError("a header that can never be sent"),
        ],
        ids=lambda says: str(getattr(says, "status_code", says)),
    )
    def test_who_answers_is_not(
        self, service: Service, client: IdentityClient, says: Answer
    ) -> None:
        service.says = says
        self.fail(client, 12)
        assert service.asked == 12
        assert client.pause_left_ms == 0

    def test_fifty_threads_at_the_end_of_the_pause_make_one_call(self, clock: Clock) -> None:
        everybody_else_was_refused = threading.Event()
        at_once, most_at_once, lock, is_well = 0, 0, threading.Lock(), False

        def answer(_request: httpx.Request) -> httpx.Response:
            nonlocal at_once, most_at_once
            if not is_well:
                return httpx.Response(500)
            with lock:
                at_once += 1
                most_at_once = max(most_at_once, at_once)
            assert everybody_else_was_refused.wait(60)
            with lock:
                at_once -= 1
            return httpx.Response(200, json=ANSWER)

        client = client_of(answer, clock)
        self.fail(client, 5)
        clock.now_ms += 5_000
        is_well = True
        refused = 0

        def ask(number: int) -> str:
            nonlocal refused
            try:
                return client.identify(Device(stamp=f"device-{number}")).user.mpid
            except CircuitOpen as error:
                with lock:
                    refused += 1
                    if refused == CALLERS - 1:
                        everybody_else_was_refused.set()
                return error.code

        with ThreadPoolExecutor(CALLERS) as threads:
            said = list(threads.map(ask, range(CALLERS)))
        assert most_at_once == 1
        assert sorted(said) == ["4711"] + ["circuit_open"] * (CALLERS - 1)

    def test_somebody_who_is_there_but_asks_to_wait_closes_it(
        self, service: Service, client: IdentityClient, clock: Clock
    ) -> None:
        service.says = httpx.ConnectError("refused")
        self.fail(client, 5)
        clock.now_ms += 5_000
        service.says = httpx.Response(429)
        for _ in range(4):
            with pytest.raises(TooManyRequests):
                client.identify(DEVICE)

    def test_a_device_that_was_refused_may_ask_again(
        self, service: Service, client: IdentityClient, clock: Clock
    ) -> None:
        service.says = httpx.ConnectError("refused")
        self.fail(client, 6)
        service.says = httpx.Response(200, json=ANSWER)
        clock.now_ms += 5_000
        assert client.identify(DEVICE).user.mpid == "4711"

    def test_alias_is_another_host_and_silences_nobody_else(
        self, service: Service, client: IdentityClient
    ) -> None:
        service.says = httpx.ConnectError("refused")
        for _ in range(5):
            with pytest.raises(NoConnection):
                client.alias(DEVICE, CARRY_OVER)
        with pytest.raises(CircuitOpen):
            client.alias(DEVICE, CARRY_OVER)
        assert service.asked == 5
        service.says = httpx.Response(200, json=ANSWER)
        assert client.identify(DEVICE).user.mpid == "4711"

    def test_what_ends_a_thread_in_a_probe_ends_the_probe(
        self, service: Service, client: IdentityClient, clock: Clock
    ) -> None:
        service.says = httpx.ConnectError("refused")
        self.fail(client, 5)
        clock.now_ms += 5_000
        service.says = RuntimeError("a fault of our own")
        with pytest.raises(RuntimeError):
            client.identify(DEVICE)
        service.says = httpx.Response(200, json=ANSWER)
        assert client.identify(DEVICE).user.mpid == "4711"

    def test_a_log_says_it_once(
        self, service: Service, client: IdentityClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        service.says = httpx.Response(500)
        self.fail(client, 30)
        lines = [record.getMessage() for record in caplog.records if "higgs" in record.name]
        assert len(lines) == 6
        assert [line for line in lines if "left alone" in line] == lines[4:5]


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(circuit_breaker).failed == 0
