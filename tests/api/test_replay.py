"""`higgs-shop replay`, as somebody uses it whose receiver was broken: dead letters, ranges, progress."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from higgs_shop import outbox
from higgs_shop.background import beat, this_forwarder
from higgs_shop.clock import system_clock
from higgs_shop.database import DatabaseBusy
from higgs_shop.outputs import pause_output
from tests.api.conftest import FakeClock, OpenStore, Store
from tests.api.journeys import mpid
from tests.api.test_command_line import command
from tests.network_faults import Receiver, Reply

PATIENCE_SECONDS = 60
DOCUMENT = Path(__file__).parents[2] / "docs" / "webhooks.md"
REASON = "the machine behind\nis on fire\x00 \x1b[31m"


class RunningClock(FakeClock):
    """A clock that goes: the command reads the machine's own."""

    def __call__(self) -> int:
        return system_clock()


@pytest.fixture
def clock() -> FakeClock:
    return RunningClock()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Answers 500, and says why."""
    with Receiver(lambda _: Reply(500, body=REASON.encode())) as receiver:
        yield receiver


@pytest.fixture
def store(open_store: OpenStore, receiver: Receiver) -> Store:
    """A store that tries once, and then gives up."""
    return open_store(webhook_url=f"{receiver.url}/hook", webhook_retry_seconds=(0,))


@pytest.fixture
def visitor_mpid(store: Store) -> str:
    """Somebody whose two messages were given up."""
    return give_up(store)


def give_up(store: Store) -> str:
    number = mpid(store.browser().get("/about"))
    deliver(store)
    return number


def deliver(store: Store) -> None:
    while store.parts.sender.deliver_due():
        pass


def replay(store: Store, *arguments: str, answer: str = "") -> Result:
    settings = store.parts.settings
    return command(
        "replay",
        *arguments,
        answer=answer,
        INSTANCE=str(settings.instance),
        DATABASE_URL=settings.database_url,
    )


def said(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    lines: list[str] = result.output.splitlines()
    return lines


def refused(result: Result) -> str:
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    text: str = result.output
    return text


def sent(receiver: Receiver, *, since: int) -> list[tuple[str, bytes]]:
    return [(each.headers["webhook-id"], each.body) for each in receiver.requests[since:]]


def test_dead_letters_arrive_with_the_same_ids_and_bytes_on_both_databases(
    open_store: OpenStore, database_url: str, receiver: Receiver
) -> None:
    store = open_store(
        database_url=database_url,
        webhook_url=f"{receiver.url}/hook",
        webhook_retry_seconds=(0,),
    )
    give_up(store)
    before = sent(receiver, since=0)
    assert len(before) == 2

    started, who = said(replay(store))
    words, _, holding_up = started.partition(": ")[2].partition(". ")
    assert words == "2 messages wait to be delivered again"
    assert holding_up.startswith("One that fails again holds up what is new of its person")
    assert who == "Nobody forwards now; start the store, or higgs-shop forward."
    receiver.answer = lambda _: Reply(204)
    deliver(store)

    assert sent(receiver, since=2) == before
    assert [row["state"] for row in store.rows("messages")] == ["delivered"] * 2
    (nothing,) = said(replay(store))
    assert nothing.startswith("Nothing to replay")


@pytest.mark.usefixtures("visitor_mpid")
def test_what_died_again_can_be_replayed_again(store: Store, receiver: Receiver) -> None:
    for number in (1, 2):
        assert said(replay(store))[0].startswith(f"Replay {number}: 2 messages")
        deliver(store)

    attempts = [row["number"] for row in store.rows("delivery_attempts")]
    assert sorted(attempts) == [1, 1, 2, 2, 3, 3]
    assert len({webhook_id for webhook_id, _ in sent(receiver, since=0)}) == 2


def test_a_listed_dead_letter_says_whose_it_is_and_what_was_answered(
    store: Store, visitor_mpid: str
) -> None:
    lines = said(replay(store, "--list"))

    assert len(lines) == 4
    webhook_id = store.rows("messages")[1]["webhook_id"]
    assert re.fullmatch(
        rf"{webhook_id}  MPID {visitor_mpid} #2  About  dead \d{{4}}-\S+Z after 1 attempt",
        lines[0],
    )
    assert lines[1] == "    500 the machine behind is on fire \ufffd[31m"
    assert said(replay(store, "--list", "--webhook-id", webhook_id)) == lines[:2]
    assert {row["state"] for row in store.rows("messages")} == {"dead"}


def test_a_long_answer_is_kept_up_to_2048_characters(store: Store, receiver: Receiver) -> None:
    receiver.answer = lambda _: Reply(503, body=b"x" * 5_000)
    give_up(store)
    assert said(replay(store, "--list"))[1] == f"    503 {'x' * 2_048}"


@pytest.mark.usefixtures("visitor_mpid")
def test_a_list_goes_on_to_the_last(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("higgs_shop.replay_command._LISTED_AT_ONCE", 1)
    assert len(said(replay(store, "--list"))) == 4


class TestChoosing:
    """Which messages; somebody's two are dead, and two of somebody else were delivered later."""

    @pytest.fixture(autouse=True)
    def delivered_mpid(self, store: Store, receiver: Receiver, visitor_mpid: str) -> str:
        receiver.answer = lambda _: Reply(204)
        number = give_up(store)
        assert number != visitor_mpid
        return number

    def total(self, store: Store, *arguments: str) -> int:
        (line, *_) = said(replay(store, *arguments))
        found = re.match(r"Replay \d+: (\d+) messages wait", line)
        return int(found[1]) if found else 0

    def test_delivered_ones_are_replayed_when_that_is_asked_for(self, store: Store) -> None:
        assert self.total(store, "--delivered-too") == 4

    def test_one_person(self, store: Store, visitor_mpid: str, delivered_mpid: str) -> None:
        assert self.total(store, "--mpid", delivered_mpid) == 0
        assert self.total(store, "--mpid", delivered_mpid, "--delivered-too") == 2
        assert self.total(store, "--mpid", visitor_mpid) == 2

    def test_one_message(self, store: Store) -> None:
        webhook_id = store.rows("messages")[3]["webhook_id"]
        assert self.total(store, "--webhook-id", webhook_id) == 0
        assert self.total(store, "--webhook-id", webhook_id, "--delivered-too") == 1
        assert self.total(store, "--webhook-id", "\udcff\u00fc") == 0

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (("--since", "2h"), 2),
            (("--until", "2h"), 0),
            (("--since", "2020-11-26"), 2),
            (("--since", "2020-01-01T00:00:00+02:00", "--until", "9999-12-31"), 2),
            (("--since", "9999-12-31T10:30Z"), 0),
        ],
    )
    def test_a_range_of_times(
        self, store: Store, arguments: tuple[str, ...], expected: int
    ) -> None:
        assert self.total(store, *arguments) == expected

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("--webhook-id", "msg_none"), "no dead letter with the id msg_none; --delivered-too"),
            (
                ("--mpid", "4711", "--since", "9d"),
                "no dead letter of the person 4711 of that time;",
            ),
            (
                ("--webhook-id", "msg_none", "--delivered-too"),
                "no delivered or dead message with the id msg_none.",
            ),
        ],
    )
    def test_where_there_is_none_what_was_asked_for_is_repeated(
        self, store: Store, arguments: tuple[str, ...], words: str
    ) -> None:
        (line,) = said(replay(store, *arguments))
        assert line.startswith(f"Nothing to replay. The output webhook has {words}")
        assert said(replay(store, "--list", *arguments)) == [
            line.removeprefix("Nothing to replay. ")
        ]

    @pytest.mark.parametrize(("since", "until"), [("2h", "3h"), ("2030-01-01", "2030-01-01")])
    def test_a_range_that_ends_before_it_begins_is_refused(
        self, store: Store, since: str, until: str
    ) -> None:
        message = refused(replay(store, "--since", since, "--until", until))
        assert message.startswith("--until is not after --since")

    @pytest.mark.parametrize("text", ["yesterday", "", "2x", "0000-00-00", "2.5h", "\udcff"])
    def test_a_wrong_time_is_named(self, store: Store, text: str) -> None:
        message = refused(replay(store, "--since", text))
        assert "--since" in message
        assert "as 2h" in message

    @pytest.mark.parametrize("text", ["0", "nobody", "1e3", str(2**63)])
    def test_a_wrong_mpid_is_named(self, store: Store, text: str) -> None:
        assert "--mpid" in refused(replay(store, "--mpid", text))

    @pytest.mark.parametrize("name", ["nothing", "", "\udcff"])
    def test_what_is_not_there_is_said(self, store: Store, name: str) -> None:
        assert refused(replay(store, "--output", name)).endswith(
            "no such output in default; there is webhook\n"
        )
        assert "no such workspace" in refused(replay(store, "--workspace", name))


class TestAsking:
    """Nobody replays many by mistake."""

    @pytest.fixture(autouse=True)
    def asked_above_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("higgs_shop.command_line._ASKED_ABOVE", 1)

    @pytest.mark.parametrize("answer", ["n\n", "\n", ""], ids=["no", "enter", "nothing"])
    @pytest.mark.usefixtures("visitor_mpid")
    def test_it_asks_before_it_replays_many(self, store: Store, answer: str) -> None:
        asked = replay(store, answer=answer)
        assert asked.exit_code == 1
        assert "Deliver 2 messages to webhook again?" in asked.output
        assert {row["state"] for row in store.rows("messages")} == {"dead"}

    @pytest.mark.parametrize(("arguments", "answer"), [(("--yes",), ""), ((), "y\n")])
    @pytest.mark.usefixtures("visitor_mpid")
    def test_it_goes_on_when_it_may(
        self, store: Store, arguments: tuple[str, ...], answer: str
    ) -> None:
        assert "Replay 1: 2 messages" in "".join(said(replay(store, *arguments, answer=answer)))


class TestWatching:
    """How far it is, until nothing waits."""

    @pytest.mark.usefixtures("visitor_mpid")
    def test_the_progress_is_shown_to_its_end(self, store: Store, receiver: Receiver) -> None:
        receiver.answer = lambda _: Reply(204)
        receiver.script(Reply(500))
        store.parts.forwarder.start()

        lines = said(replay(store, "--watch"))

        assert lines[-1] == "Replay 1: 1 delivered, 1 dead, 0 waiting."
        assert not any("Nobody forwards" in line for line in lines)

    @pytest.mark.usefixtures("visitor_mpid")
    def test_it_says_when_the_output_is_paused(self, store: Store) -> None:
        beat(store.parts.database, this_forwarder(), system_clock())
        with store.parts.database.write() as connection:
            (output,) = store.rows("outputs")
            pause_output(connection, output["id"], "somebody paused it", 1)
        assert said(replay(store))[1:] == [
            "The output is paused, and sends nothing now: somebody paused it"
        ]

    @pytest.mark.usefixtures("visitor_mpid")
    def test_what_a_later_replay_took_over_ends_an_earlier_one(
        self, store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Somebody else replays the same while this one is watched."""
        receiver.answer = lambda _: Reply(204)

        class Meanwhile:
            """Instead of the pause between two looks."""

            def sleep(self, _seconds: float) -> None:
                deliver(store)
                said(replay(store, "--delivered-too"))

        monkeypatch.setattr("higgs_shop.replay_command.time", Meanwhile())
        lines = said(replay(store, "--watch"))
        assert lines[-1] == (
            "Replay 1: 0 delivered, 0 dead, 0 waiting, 2 taken over by a later replay or withdrawn."
        )

    @pytest.mark.usefixtures("visitor_mpid")
    def test_ctrl_c_leaves_the_replay_running(self, store: Store, receiver: Receiver) -> None:
        settings: dict[str, Any] = {
            "HIGGS_SHOP_INSTANCE": str(store.parts.settings.instance),
            "HIGGS_SHOP_DATABASE_URL": store.parts.settings.database_url,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "higgs_shop", "replay", "--watch"],
            env={**os.environ, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            assert process.stdout is not None
            while "Delivering" not in (line := process.stdout.readline()):
                assert line
            process.send_signal(signal.SIGINT)
            rest, _ = process.communicate(timeout=PATIENCE_SECONDS)
        finally:
            process.kill()
            process.communicate()
        assert process.returncode == 0
        assert "The replay goes on without this command." in rest
        receiver.answer = lambda _: Reply(204)
        deliver(store)
        assert [row["state"] for row in store.rows("messages")] == ["delivered"] * 2

    @pytest.mark.usefixtures("visitor_mpid")
    def test_an_output_that_is_removed_meanwhile_ends_it(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Meanwhile:
            """Instead of the pause between two looks."""

            def sleep(self, _seconds: float) -> None:
                assert (
                    command("reset", "--yes", INSTANCE=str(store.parts.settings.instance)).exit_code
                    == 0
                )

        monkeypatch.setattr("higgs_shop.replay_command.time", Meanwhile())
        assert said(replay(store, "--watch"))[-1] == (
            "Replay 1: the output is gone, and its messages with it."
        )


class TestEndedWhileItChooses:
    """One message at a time, and something ends the command after the first."""

    @pytest.fixture(autouse=True)
    def one_at_once(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        give_up(store)
        monkeypatch.setattr("higgs_shop.outbox.choosing._AT_ONCE", 1)

    def end_by(self, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
        choose_more, calls = outbox.choose_more, iter([1])

        def ended(*arguments: Any, **options: Any) -> bool:
            if next(calls, None) is None:
                raise error
            return choose_more(*arguments, **options)

        monkeypatch.setattr("higgs_shop.outbox.choose_more", ended)

    def test_ctrl_c_leaves_the_rest_to_whoever_forwards(
        self, store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.end_by(KeyboardInterrupt(), monkeypatch)
        lines = said(replay(store))
        assert "Whoever forwards goes on with it without this command." in lines
        (told,) = (line for line in lines if line.startswith("Replay 1"))
        assert "1 messages wait to be delivered again so far; more are still being chosen" in told
        self.is_finished(store, receiver)

    def test_a_database_that_is_busy_is_said_and_the_rest_is_done_all_the_same(
        self, store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.end_by(DatabaseBusy("another writer held the database"), monkeypatch)
        assert "another writer held the database" in refused(replay(store))
        self.is_finished(store, receiver)

    def is_finished(self, store: Store, receiver: Receiver) -> None:
        """By the background of a store that runs, with nothing twice."""
        receiver.answer = lambda _: Reply(204)
        store.parts.background.do_round()
        deliver(store)
        again = sent(receiver, since=2)
        assert sorted(again) == sorted(sent(receiver, since=0)[:2])
        assert [row["total"] for row in store.rows("replays")] == [2]


@pytest.mark.usefixtures("visitor_mpid")
def test_the_documented_commands_do_what_is_said(store: Store) -> None:
    text = DOCUMENT.read_text("utf-8")
    documented = re.findall(r"^    higgs-shop replay (.*)$", text, re.MULTILINE)
    assert len(documented) == 6
    totals = []
    for line in documented:
        found = re.match(r"Replay \d+: (\d+) messages wait", said(replay(store, *line.split()))[0])
        totals.append(int(found[1]) if found else 0)
        deliver(store)
    assert totals == [0, 2, 2, 0, 0, 2]
