"""A remote identity service that is down, slow, broken or forgetful, over real sockets.

Pages are answered all the same, nothing is lost, and nobody gets a second profile.
"""

import functools
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trustme
from waitress.server import create_server

from higgs_shop.database import Database
from higgs_shop.furnishing import furnish
from higgs_shop.idsync_service import create_service, random_mpid
from higgs_shop.migrations import upgrade
from higgs_shop.settings import Settings
from higgs_shop.visitors import intents
from tests.api import journeys
from tests.api.conftest import FakeClock, OpenStore, Store
from tests.network_faults import (
    BLACKHOLE,
    CONTINUE_FOREVER,
    DRIP,
    DRIP_BODY,
    HALF_CLOSE,
    JUNK,
    PASS,
    REFUSE,
    RESET,
    FaultProxy,
    Mode,
    Received,
    Receiver,
    Reply,
    cut_after,
    serving,
)

VIEWS = 25
LOST_REPLIES = 10
SHORT_BUDGET_SECONDS = 0.1
LONG_BUDGET_SECONDS = 30.0
MOST_SOCKETS = 20


@pytest.fixture
def remote(tmp_path: Path, clock: FakeClock) -> Iterator[tuple[str, int]]:
    """The address of an identity service with a database of its own, behind a real server."""
    database = Database(f"sqlite:///{tmp_path / 'remote.db'}")
    upgrade(database)
    with database.write() as connection:
        furnish(connection, Settings(), clock())
    service = create_service(database, clock=clock, new_mpid=random_mpid)
    server = create_server(service.wsgi_app, host="127.0.0.1", port=0, threads=4)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield ("127.0.0.1", server.effective_port)
    # Closed by its own thread, since that one may be waiting on the socket right now.
    server.trigger.pull_trigger(server.close)
    thread.join()
    server.task_dispatcher.shutdown()
    database.close()


@pytest.fixture
def line(remote: tuple[str, int]) -> Iterator[FaultProxy]:
    """What the store believes to be the identity service."""
    with FaultProxy(remote, drip_seconds=0.02) as proxy:
        yield proxy


def catch_up(store: Store) -> None:
    """Let time pass and the background worker work until nothing is owed."""
    for _ in range(10):
        store.clock.forward(minutes=5)
        store.parts.background.do_round()
    assert {row["state"] for row in store.rows("identity_intents")} == {"done"}


@pytest.mark.parametrize(
    "mode",
    [BLACKHOLE, CONTINUE_FOREVER, DRIP, DRIP_BODY, HALF_CLOSE, REFUSE, RESET, JUNK],
    ids=lambda mode: str(mode.name),
)
def test_pages_are_answered_while_the_service_is_in_trouble(
    open_store: OpenStore, line: FaultProxy, mode: Mode
) -> None:
    """Each page is a chance for another call. The service never answers one, so none was waited for
    beyond the budget; and what was logged finds its person when it is back.
    """
    store = open_store(idsync_url=f"{line.url}/v1", identity_budget_seconds=SHORT_BUDGET_SECONDS)
    visitor = store.browser()
    line.mode = mode
    for _ in range(VIEWS):
        page = visitor.get("/about")
        assert page.status == 200
        assert journeys.identity_state(page) == "pending"
        store.clock.forward(seconds=31)
    assert {event.mpid for event in store.events()} == {None}
    line.mode = PASS
    healthy = open_store(idsync_url=f"{line.url}/v1", identity_budget_seconds=LONG_BUDGET_SECONDS)
    catch_up(healthy)
    seen = [event for event in healthy.events() if event.name == "About"]
    assert len(seen) == VIEWS
    assert len({event.mpid for event in seen} - {None}) == 1
    sequences = [body["context"]["mpid_sequence"] for body in healthy.bodies()]
    assert sequences == list(range(1, len(sequences) + 1))


class TestRetryPolicy:
    """How often the same call is made during one page: counted where it arrives."""

    @pytest.fixture
    def service(self) -> Iterator[Receiver]:
        """Records calls, and answers them with whatever a test says."""
        with Receiver() as receiver:
            yield receiver

    @pytest.fixture
    def store(self, open_store: OpenStore, service: Receiver) -> Store:
        return open_store(
            idsync_url=f"{service.url}/v1", identity_budget_seconds=LONG_BUDGET_SECONDS
        )

    @pytest.mark.parametrize(
        ("status_code", "calls"),
        [(400, 1), (401, 1), (429, 1), (500, 1), (302, 1), (502, 2), (503, 2), (504, 2)],
    )
    def test_only_what_cannot_have_happened_is_called_again(
        self, store: Store, service: Receiver, status_code: int, calls: int
    ) -> None:
        service.answer = lambda _: Reply(status_code, body=b'{"errors":[]}')
        assert store.browser().get("/about").status == 200
        assert len(service.requests) == calls
        assert len(set(map(request_id, service.requests))) == 1

    def test_a_call_that_reaches_nobody_is_made_twice(self, open_store: OpenStore) -> None:
        """Nobody listens, and the second try finds somebody: the same call."""
        with Receiver(answer=known_as(4711)) as service, FaultProxy(service.address) as line:
            store = open_store(
                idsync_url=f"{line.url}/v1", identity_budget_seconds=LONG_BUDGET_SECONDS
            )
            line.mode = REFUSE
            visitor = store.browser()
            visitor.get("/about")
            ((attempts, request),) = [
                (row["attempts"], row["request_id"]) for row in store.rows("identity_intents")
            ]
            assert attempts == 1, "two tries within one page are one attempt"
            line.mode = PASS
            store.clock.forward(seconds=1)
            assert journeys.mpid(visitor.get("/about")) == "4711"
            assert [request_id(call) for call in service.requests] == [request]

    def test_a_recovered_second_try_is_all_it_takes(self, store: Store, service: Receiver) -> None:
        service.answer = known_as(4711)
        service.script(Reply(503))
        assert journeys.mpid(store.browser().get("/about")) == "4711"
        assert len(service.requests) == 2

    @pytest.mark.parametrize(
        ("asked", "waited_seconds"),
        [("7", 7), ("0", 1), ("90", 90), ("100000", 300), ("-5", 1), ("soon", 1)],
    )
    def test_who_is_told_to_wait_waits(
        self, store: Store, service: Receiver, asked: str, waited_seconds: int
    ) -> None:
        service.answer = lambda _: Reply(429, {"Retry-After": asked})
        visitor = store.browser()
        visitor.get("/about")
        store.clock.forward(seconds=waited_seconds - 0.001)
        visitor.get("/about")
        store.parts.background.do_round()
        assert len(service.requests) == 1
        store.clock.forward(seconds=0.001)
        visitor.get("/about")
        assert len(service.requests) == 2
        assert len(set(map(request_id, service.requests))) == 1

    def test_failures_are_tried_again_ever_more_seldom(
        self, store: Store, service: Receiver
    ) -> None:
        """One second, two, four … thirty, and never given up."""
        service.answer = lambda _: Reply(500)
        store.browser().get("/about")
        waits_seconds = []
        for _ in range(8):
            before, waited = len(service.requests), 0
            while len(service.requests) == before:
                store.clock.forward(seconds=1)
                waited += 1
                store.parts.background.do_round()
            waits_seconds.append(waited)
        assert waits_seconds == [1, 2, 4, 8, 16, 30, 30, 30]


class TestAClockThatIsSetBack:
    """By an hour, while a call is owed: nobody waits for the clock to be where it was."""

    @pytest.fixture
    def store(self, open_store: OpenStore, service: Receiver) -> Store:
        """A store whose only visitor was not told who they are."""
        store = open_store(
            idsync_url=f"{service.url}/v1", identity_budget_seconds=LONG_BUDGET_SECONDS
        )
        service.script(Reply(500))
        store.browser().get("/about")
        assert [row["state"] for row in store.rows("identity_intents")] == ["pending"]
        return store

    @pytest.fixture
    def service(self) -> Iterator[Receiver]:
        with Receiver(answer=known_as(4711)) as receiver:
            yield receiver

    def test_the_call_is_made_by_the_worker(self, store: Store) -> None:
        store.clock.forward(minutes=-60)
        store.parts.background.do_round()
        assert {event.mpid for event in store.events()} == {4711}

    def test_or_by_the_next_page(self, open_store: OpenStore, service: Receiver) -> None:
        store = open_store(
            idsync_url=f"{service.url}/v1", identity_budget_seconds=LONG_BUDGET_SECONDS
        )
        service.script(Reply(500))
        visitor = store.browser()
        visitor.get("/about")
        store.clock.forward(minutes=-60)
        assert journeys.mpid(visitor.get("/about")) == "4711"

    def test_whoever_died_while_making_it_holds_it_up_no_longer(self, store: Store) -> None:
        ((visit,),) = [[row["id"]] for row in store.rows("visits")]
        with store.parts.database.write() as connection:
            assert intents.take_lease(connection, visit, store.clock())
        store.clock.forward(seconds=10)
        assert store.parts.background.do_round() == 0, "they may be alive"
        store.clock.forward(minutes=-60)
        store.parts.background.do_round()
        assert {event.mpid for event in store.events()} == {4711}


class TestAServiceThatIsLeftAlone:
    """After five failures within ten seconds, nobody asks for five."""

    @pytest.fixture
    def service(self) -> Iterator[Receiver]:
        """Fails, until a test says otherwise."""
        with Receiver(answer=lambda _: Reply(500)) as receiver:
            yield receiver

    @pytest.fixture
    def store(self, open_store: OpenStore, service: Receiver) -> Store:
        """A store whose first five visitors were not told who they are."""
        store = open_store(
            idsync_url=f"{service.url}/v1", identity_budget_seconds=LONG_BUDGET_SECONDS
        )
        for _ in range(5):
            store.browser().get("/about")
        return store

    def test_pages_say_so_and_do_not_ask(self, store: Store, service: Receiver) -> None:
        page = store.browser().get("/about")
        assert page.status == 200
        assert journeys.identity_state(page) == "pending"
        assert "failed too often just now" in page.text("identity-pending")
        store.clock.forward(seconds=4)
        assert store.parts.background.do_round() == 0
        assert len(service.requests) == 5
        (*_, held_back) = store.rows("identity_intents")
        assert (held_back["state"], held_back["attempts"]) == ("pending", 0)

    def test_what_is_owed_is_made_up_for_when_it_is_back(
        self, store: Store, service: Receiver
    ) -> None:
        for _ in range(5):
            store.browser().get("/about")
        service.answer = known_as(4711)
        store.clock.forward(seconds=5)
        store.parts.background.do_round()
        assert {row["state"] for row in store.rows("identity_intents")} == {"done"}
        assert {event.mpid for event in store.events()} == {4711}
        assert len(service.requests) == 15, "each of the ten was answered once"

    def test_one_that_is_still_down_is_asked_once_in_five_seconds(
        self, store: Store, service: Receiver
    ) -> None:
        for _ in range(4):
            before = len(service.requests)
            store.clock.forward(seconds=5)
            store.parts.background.do_round()
            store.parts.background.do_round()
            assert len(service.requests) == before + 1

    def test_a_second_try_that_is_not_made_hides_no_failure(
        self, open_store: OpenStore, service: Receiver
    ) -> None:
        """Each page asks twice; the third page's first try is the fifth failure."""
        service.answer = lambda _: Reply(502)
        store = open_store(
            idsync_url=f"{service.url}/v1", identity_budget_seconds=LONG_BUDGET_SECONDS
        )
        for _ in range(4):
            store.browser().get("/about")
        assert [row["error_code"] for row in store.rows("identity_intents")] == [
            *["service_failed"] * 3,
            "circuit_open",
        ]
        assert len(service.requests) == 5


def test_a_lost_reply_makes_no_second_profile(
    open_store: OpenStore, line: FaultProxy, tmp_path: Path
) -> None:
    """Identify, login, modify and logout: the service carries each out, and its answer is lost."""
    store = open_store(idsync_url=f"{line.url}/v1", identity_budget_seconds=LONG_BUDGET_SECONDS)
    for number in range(LOST_REPLIES):
        visitor = store.browser()
        line.mode = cut_after(20)
        assert journeys.identity_state(visitor.get("/about")) == "pending"
        recover(store, line)
        line.mode = cut_after(20)
        journeys.sign_up(visitor, email=f"person{number}@example.com")
        recover(store, line)
        line.mode = cut_after(20)
        form = visitor.get("/account/profile")
        visitor.submit(form, "save-profile", email=f"changed{number}@example.com")
        recover(store, line)
        line.mode = cut_after(20)
        journeys.sign_out(visitor)
        recover(store, line)
    people = Counter(event.mpid for event in store.events() if event.name in {"About", "Welcome"})
    assert set(people.values()) == {2}, "anonymous and signed up: the same person"
    assert len(people) == LOST_REPLIES
    service = Database(f"sqlite:///{tmp_path / 'remote.db'}")
    with service.read() as connection:
        made = connection.exec_driver_sql("SELECT count(*) FROM profiles").scalar_one()
        addresses = connection.exec_driver_sql(
            "SELECT identity_value FROM profile_identities WHERE identity_type = 'email'"
        ).scalars()
        assert sorted(addresses) == [f"changed{number}@example.com" for number in range(10)]
    service.close()
    assert made == 2 * LOST_REPLIES, "one for each person, one for whoever came after them"


def recover(store: Store, line: FaultProxy) -> None:
    """The line is mended, and the call that is owed is made again. (So seldom does no circuit open.)"""
    assert [row["state"] for row in store.rows("identity_intents")].count("pending") == 1
    line.mode = PASS
    store.clock.forward(seconds=3)
    store.parts.background.do_round()
    assert {row["state"] for row in store.rows("identity_intents")} == {"done"}


def test_a_service_that_cannot_prove_who_it_is_is_told_nothing(open_store: OpenStore) -> None:
    """And the page says what is the matter."""
    with Receiver(ssl_context=serving(trustme.CA().issue_cert("127.0.0.1"))) as impostor:
        store = open_store(
            idsync_url=f"{impostor.url}/v1", identity_budget_seconds=LONG_BUDGET_SECONDS
        )
        page = store.browser().get("/about")
        assert journeys.identity_state(page) == "pending"
        assert "could not prove who it is" in page.text("identity-pending")
        assert impostor.requests == []


def test_the_environment_sends_nothing_through_a_proxy(
    remote: tuple[str, int],
    open_store: OpenStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither identity calls nor webhooks, nor does a .netrc or a certificate file count."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login eve password eve\n")
    with Receiver() as proxy, Receiver() as receiver:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("NETRC", str(netrc))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
        store = open_store(
            idsync_url=f"http://127.0.0.1:{remote[1]}/v1",
            webhook_url=f"{receiver.url}/hook",
            identity_budget_seconds=LONG_BUDGET_SECONDS,
        )
        assert journeys.identity_state(store.browser().get("/about")) == "anonymous"
        delivered = store.parts.sender.deliver_due()
        assert [delivery.succeeded for delivery in delivered] == [True, True]
        assert len(receiver.requests) == 2
        assert all("authorization" not in request.headers for request in receiver.requests)
        assert proxy.connections == 0


@pytest.fixture
def patient_writers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A crowd's pages are about the identity service here, and not about a disk that is slow just then."""
    patient = functools.partial(Database, busy_timeout_ms=30_000)
    monkeypatch.setattr("higgs_shop.wiring.Database", patient)


@pytest.mark.usefixtures("patient_writers")
def test_a_stampede_of_first_visits_waits_for_nobody(open_store: OpenStore) -> None:
    """The service answers nobody until all pages are there."""
    with Receiver() as service:
        service.hold()
        store = open_store(
            idsync_url=f"{service.url}/v1", identity_budget_seconds=SHORT_BUDGET_SECONDS
        )
        assert stampede(store, 10) == [200] * 10
        assert [row["state"] for row in store.rows("identity_intents")] == ["pending"] * 10


@pytest.mark.usefixtures("patient_writers")
def test_a_stampede_opens_no_more_sockets_than_the_pool_has(open_store: OpenStore) -> None:
    """More visitors at once than there are connections: the others wait for a place."""
    visits = MOST_SOCKETS + 4
    with Receiver(answer=known_as(4711)) as service:
        service.hold()

        def release_when_full() -> None:
            service.wait_for(MOST_SOCKETS, timeout_seconds=60)
            service.release()

        release = threading.Thread(target=release_when_full)
        release.start()
        store = open_store(
            idsync_url=f"{service.url}/v1", identity_budget_seconds=LONG_BUDGET_SECONDS
        )
        assert stampede(store, visits) == [200] * visits
        release.join()
        assert len(service.requests) == visits
        assert service.connections <= MOST_SOCKETS


@pytest.mark.usefixtures("patient_writers")
def test_who_finds_no_free_connection_falls_back(open_store: OpenStore) -> None:
    """More visitors than connections, and nobody is answered: every page comes all the same."""
    visits = MOST_SOCKETS + 4
    with Receiver() as service:
        service.hold()
        store = open_store(
            idsync_url=f"{service.url}/v1", identity_budget_seconds=SHORT_BUDGET_SECONDS
        )
        assert stampede(store, visits) == [200] * visits
        assert service.connections <= MOST_SOCKETS
        assert [row["state"] for row in store.rows("identity_intents")] == ["pending"] * visits


def stampede(store: Store, visits: int) -> list[int]:
    """So many people who were never here before, all at once. Returns the status of each page."""
    browsers = [store.browser() for _ in range(visits)]
    with ThreadPoolExecutor(visits) as crowd:
        return list(crowd.map(lambda browser: browser.get("/about").status, browsers))


def request_id(received: Received) -> str:
    """The id under which a call came."""
    return str(json.loads(received.body)["request_id"])


def known_as(mpid: int) -> Callable[[Received], Reply]:
    """Answers every call with this profile."""
    body = json.dumps({"mpid": str(mpid), "is_logged_in": False, "matched_identities": {}})
    headers = {"Content-Type": "application/json"}
    return lambda _: Reply(200, headers, body.encode())
