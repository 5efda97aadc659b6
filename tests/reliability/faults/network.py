"""Receivers and lines that misbehave (D5): a real forwarder sends into each, and then the fault is gone."""

import json
import resource
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import trustme

from higgs_shop import outbox
from higgs_shop.clock import system_clock
from higgs_shop.database import Database
from higgs_shop.migrations import upgrade
from higgs_shop.outbox import Draft
from higgs_shop.outgoing_http import OutgoingHttp
from higgs_shop.webhook_output import Delivery, Errand, Forwarder, Sender, Turn, Work
from tests.network_faults import (
    ANSWER_TWICE,
    BLACKHOLE,
    CLOSE_REUSED,
    CONTINUE_FOREVER,
    CONTINUE_JUNK,
    DRIP,
    DRIP_BODY,
    HALF_CLOSE,
    JUNK,
    PASS,
    REFUSE,
    RESET,
    THIS_MACHINE,
    TOO_LITTLE,
    TOO_MUCH,
    FaultProxy,
    Mode,
    Received,
    Receiver,
    Reply,
    cut_after,
    gzip_bomb,
    reset_after,
    serving,
    trusting,
)
from tests.reliability.result import Result, more_than
from tests.reliability.scene import Scene
from tests.webhook_outputs import an_output

SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EVENTS_EACH: Final = 2
"""How many events a person has: the second shows whether anything overtakes the first."""

_ANSWER: Final = Reply(body=b"thank you, it has arrived" * 20)
_IN_THE_BODY: Final = 200
_PATH: Final = "/webhook-of-d5"
_MOST_ANSWER_BYTES: Final = 65_536
# So often that nothing dies of a fault that lasts.
_SCHEDULE_SECONDS: Final = (0,) * 10_000
_PATIENT_SECONDS: Final = 30.0
_GIVE_UP_SECONDS: Final = 600.0
_ROOM_MS: Final = 1_000
_MOST_GROWTH_MB: Final = 30
_FULL_DEADLINE_SECONDS: Final = 2.0
_FULL_DRIP_SECONDS: Final = 0.4

IssueCertificate = Callable[[trustme.CA], trustme.LeafCert]


@dataclass(frozen=True)
class Fault:
    """Something that is wrong between the forwarder and its receiver.

    Attributes:
        mode: what the line does meanwhile.
        certificate: with what the receiver serves meanwhile; None for plain HTTP.
    """

    name: str
    mode: Mode = PASS
    certificate: IssueCertificate | None = None
    answer: Reply = _ANSWER


def _of_another(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("shop.example")


def _expired(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("127.0.0.1", not_after=datetime(2020, 1, 1, tzinfo=UTC))


FAULTS: Final = (
    Fault("nobody listens", REFUSE),
    Fault("reset before the headers", RESET),
    Fault("closed in the headers", cut_after(20)),
    Fault("reset in the body", reset_after(_IN_THE_BODY)),
    Fault("never answers", BLACKHOLE),
    Fault("headers drip", DRIP),
    Fault("body drips", DRIP_BODY),
    Fault("200 MB in a gzip bomb", gzip_bomb(200_000_000)),
    Fault("closes a connection that is used again", CLOSE_REUSED, answer=Reply()),
    Fault("100 Continue without end", CONTINUE_FOREVER),
    Fault("100 Continue, then junk", CONTINUE_JUNK),
    Fault("not HTTP", JUNK),
    Fault("half closed", HALF_CLOSE),
    Fault("body shorter than its Content-Length", TOO_LITTLE),
    Fault("body longer than its Content-Length", TOO_MUCH, answer=Reply()),
    Fault("two answers to one request", ANSWER_TWICE, answer=Reply()),
    Fault("certificate for another name", certificate=_of_another),
    Fault("expired certificate", certificate=_expired),
)


@dataclass(frozen=True)
class Outcome:
    """What became of the events, once the fault was gone.

    Attributes:
        failures: attempts that did not succeed.
        lost: events that the receiver never got, or that are not recorded as delivered.
        altered: requests that repeat a `webhook-id` with another body.
        out_of_order: first arrivals that are not the next of their person.
        broken: errors that ended a round, and senders that are gone.
        told: requests that reached a receiver which had not proved who it is.
        longest_ms: the longest attempt while the fault lasted.
    """

    events: int
    failures: int
    lost: int
    altered: int
    out_of_order: int
    broken: int
    told: int
    longest_ms: int

    @property
    def is_sound(self) -> bool:
        """Whether there was a fault, and nothing came of it."""
        wrong = (self.lost, self.altered, self.out_of_order, self.broken, self.told)
        return self.failures > 0 and not any(wrong)


def endure(
    fault: Fault, database: Database, *, events: int, deadline_seconds: float, drip_seconds: float
) -> Outcome:
    """Send into a fault until it has met everybody, then without it until all is delivered.

    Args:
        database: without messages.
        events: how many; an even number.
        deadline_seconds: of an attempt, while the fault lasts.
    """
    people = range(1, events // EVENTS_EACH + 1)
    with _line(fault, drip_seconds) as line:
        output = an_output(database, url=line.url)
        _enqueue(database, output.id, people)
        rounds = _Rounds(database, people)
        with (
            _sender(database, line, deadline_seconds) as hasty,
            _sender(database, line, _PATIENT_SECONDS) as patient,
        ):
            rounds.sender = hasty
            with Forwarder(rounds, clock=system_clock, poll_seconds=0.01) as forwarder:
                rounds.wait_until(rounds.all_tried, "the fault has met everybody")
                rounds.sender = patient
                line.mend()
                rounds.wait_until(rounds.all_delivered, "everything is delivered")
                gone = sum(not thread.is_alive() for thread in forwarder._threads)
        return _outcome(line, rounds.deliveries, events=events, broken=rounds.errors + gone)


@dataclass(frozen=True)
class _Line:
    """The way to a receiver, the fault on it included."""

    receiver: Receiver
    impostor: Receiver | None
    proxy: FaultProxy
    authority: trustme.CA

    @property
    def url(self) -> str:
        return f"{'https' if self.impostor else 'http'}://127.0.0.1:{self.proxy.address[1]}{_PATH}"

    def mend(self) -> None:
        self.proxy.lead_to(self.receiver.address)
        self.proxy.mode = PASS


@contextmanager
def _line(fault: Fault, drip_seconds: float) -> Iterator[_Line]:
    authority = trustme.CA()
    with ExitStack() as stack:
        sound, impostor = None, None
        if fault.certificate is not None:
            sound = serving(authority.issue_cert("127.0.0.1"))
            wrong = serving(fault.certificate(authority))
            impostor = stack.enter_context(Receiver(ssl_context=wrong))
        receiver = stack.enter_context(Receiver(lambda _: fault.answer, ssl_context=sound))
        target = (impostor or receiver).address
        proxy = stack.enter_context(FaultProxy(target, drip_seconds=drip_seconds))
        proxy.mode = fault.mode
        yield _Line(receiver, impostor, proxy, authority)


@contextmanager
def _sender(database: Database, line: _Line, deadline_seconds: float) -> Iterator[Sender]:
    with OutgoingHttp(
        deadline_seconds=deadline_seconds,
        max_answer_bytes=_MOST_ANSWER_BYTES,
        cuts_answers=True,
        reach=THIS_MACHINE,
        ssl_context=trusting(line.authority) if line.impostor else None,
    ) as http:
        yield Sender(
            database,
            http,
            timeout_seconds=deadline_seconds,
            clock=system_clock,
            inbox_address=line.url,
            secrets=[SECRET],
            schedule_seconds=_SCHEDULE_SECONDS,
        )


class _Rounds:
    """What a forwarder does, watched. The sender may be changed meanwhile."""

    sender: Sender

    def __init__(self, database: Database, people: Sequence[int]) -> None:
        self._database = database
        self._people = set(people)
        self._changed = threading.Condition()
        self.deliveries: list[Delivery] = []
        self.errors = 0

    def turn(self, work: Work) -> Turn:
        try:
            turn = self.sender.turn(work)
        except Exception:
            self.errors += 1
            raise
        with self._changed:
            self.deliveries += [each for each in work.done if each not in turn.unrecorded]
            self._changed.notify_all()
        return turn

    def post(self, errand: Errand) -> Delivery:
        return self.sender.post(errand)

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        with self._changed:
            came = self._changed.wait_for(condition, _GIVE_UP_SECONDS)
        assert came, f"not after {_GIVE_UP_SECONDS} s: {what}"

    def all_tried(self) -> bool:
        tried = {
            each.message.mpid
            for each in self.deliveries
            if not each.succeeded or each.message.sequence == EVENTS_EACH
        }
        return tried == self._people

    def all_delivered(self) -> bool:
        with self._database.read() as connection:
            return outbox.backlog(connection, "default").waiting == 0


def _enqueue(database: Database, output_id: int, people: Sequence[int]) -> None:
    with database.write() as connection:
        for mpid in people:
            drafts = [Draft(None, partial(_body, mpid)) for _ in range(EVENTS_EACH)]
            outbox.enqueue(
                connection,
                workspace_id="default",
                output_id=output_id,
                mpid=mpid,
                drafts=drafts,
                now_ms=system_clock(),
            )


def _body(mpid: int, sequence: int, webhook_id: str) -> bytes:
    facts = {"mpid": mpid, "sequence": sequence, "webhook_id": webhook_id, "name": "Bosón ☕"}
    return json.dumps(facts, ensure_ascii=False).encode()


def _outcome(line: _Line, deliveries: Sequence[Delivery], *, events: int, broken: int) -> Outcome:
    arrived = _sent_to(line.receiver)
    first: dict[str, bytes] = {}
    for request in arrived:
        first.setdefault(request.headers["webhook-id"], request.body)
    delivered = {each.message.webhook_id for each in deliveries if each.succeeded}
    failed = [each.attempt for each in deliveries if not each.succeeded]
    return Outcome(
        events=events,
        failures=len(failed),
        lost=events - len(delivered & first.keys()),
        altered=sum(request.body != first[request.headers["webhook-id"]] for request in arrived),
        out_of_order=_out_of_order(arrived),
        broken=broken,
        told=len(_sent_to(line.impostor)) if line.impostor else 0,
        longest_ms=max((attempt.duration_ms for attempt in failed), default=0),
    )


def _sent_to(receiver: Receiver) -> list[Received]:
    # Ports are used again: on a busy machine somebody may ask for whoever was there before.
    return [request for request in receiver.requests if request.path == _PATH]


def _out_of_order(arrived: Sequence[Received]) -> int:
    last: dict[int, int] = defaultdict(int)
    wrong = 0
    for request in arrived:
        facts = json.loads(request.body)
        mpid, sequence = facts["mpid"], facts["sequence"]
        wrong += sequence > last[mpid] + 1
        last[mpid] = max(last[mpid], sequence)
    return wrong


def every_fault(scene: Scene) -> list[Result]:
    """D5: every fault, one after the other, with what is asked of time and memory."""
    events = scene.size.events
    allowed_ms = round(_FULL_DEADLINE_SECONDS * 1_000) + _ROOM_MS
    found = []
    # A first one, so that what Python loads once is not taken for growth.
    _endured(FAULTS[0], scene.folder / "first.db", events)
    before_mb = _most_memory_mb()
    for number, fault in enumerate(FAULTS, start=1):
        outcome = _endured(fault, scene.folder / f"{number}.db", events)
        growth_mb = _most_memory_mb() - before_mb
        faults = [] if outcome.is_sound else [f"{fault.name}: {outcome}"]
        faults += more_than(outcome.longest_ms, allowed_ms, f"ms with {fault.name}")
        faults += more_than(round(growth_mb), _MOST_GROWTH_MB, f"MB more after {fault.name}")
        found.append(
            Result(
                fault.name,
                f"{events} events, {outcome.failures} failed attempts, {outcome.lost} lost,"
                f" longest attempt {outcome.longest_ms} ms,"
                f" memory +{growth_mb:.1f} MB since the first",
                tuple(faults),
            )
        )
        scene.on_progress(number / len(FAULTS))
    return found


def _endured(fault: Fault, file: Path, events: int) -> Outcome:
    with closing(Database(f"sqlite:///{file}")) as database:
        upgrade(database)
        return endure(
            fault,
            database,
            events=events,
            deadline_seconds=_FULL_DEADLINE_SECONDS,
            drip_seconds=_FULL_DRIP_SECONDS,
        )


def _most_memory_mb() -> float:
    """The most that this process, receivers and proxies included, ever held."""
    unit_bytes = 1 if sys.platform == "darwin" else 1_024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit_bytes / 1e6
