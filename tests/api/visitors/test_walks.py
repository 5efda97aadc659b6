"""Random walks of people in front of two browsers, with an identity service that comes and goes.

Whatever happens, and in whatever order: every event is logged, once, and belongs to whoever did it.
"""

import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from jinja2 import BytecodeCache
from sqlalchemy import func, select

from higgs_shop.app import create_app
from higgs_shop.outputs import MAIN_OUTPUT, change_output, find_output
from higgs_shop.settings import Settings
from higgs_shop.shop import customers
from higgs_shop.tables import events, identity_intents, messages, user_attributes, visits
from higgs_shop.tables import profiles as stored_profiles
from higgs_shop.tables import sessions as stored_sessions
from higgs_shop.wiring import Parts, wire
from tests.api.browsing import Browser, Page
from tests.api.conftest import FakeClock
from tests.api.journeys import BALL, PASSWORD
from tests.api.visitors.conftest import PATIENCE_SECONDS
from tests.api.visitors.expected_people import Device, Person, Profile, Stretch, profiles_of
from tests.api.visitors.troubled_identity import Call, Trouble, TroubledIdentity

WALKS = 12
STEPS = 60
_IS_NO_COPY = events.c.copied_from.is_(None)
SILENCE_MS = 30 * 60 * 1_000
TROUBLES = [trouble for trouble in Trouble if trouble is not Trouble.CRASH]


class Walk:
    """One walk: a store, two browsers, and a model of who is at which."""

    def __init__(self, folder: Path, templates: BytecodeCache, random: Random) -> None:
        self.random = random
        self.settings = Settings(instance=folder, identity_budget_seconds=PATIENCE_SECONDS)
        self.templates = templates
        self.clock = FakeClock()
        self.identity = TroubledIdentity()
        self.identity.on_call = self.called
        self.parts = self.wired()
        self.have_everything_sent()
        app = self.app()
        self.browsers = [Browser(app), Browser(app)]
        self.devices = [Device(), Device()]
        self.acting = self.devices[0]
        self.people = [
            Person(account.customer_id, account.email, {account.name}, {account.email})
            for account in customers.READY_ACCOUNTS[:2]
        ]
        self.accounts = 0
        self.last_event_id = 0
        self.expected: dict[int, Stretch] = {}
        self.changed_identities: list[tuple[str, int]] = []
        self.carried_attributes: set[int] = set()
        self.seen_requests: set[str] = set()
        self.frozen: dict[int, bytes] = {}
        self.withdrawn: dict[int, tuple[int, int]] = {}

    # ── the store ────────────────────────────────────────────────────────────────────────────────

    def wired(self) -> Parts:
        parts = wire(self.settings, clock=self.clock, identity_transport=self.identity)
        self.identity.reach(parts.embedded_service)
        return parts

    def app(self) -> Any:
        app = create_app(wired=self.parts)
        app.jinja_env.bytecode_cache = self.templates
        return app

    def have_everything_sent(self) -> None:
        """Attribute changes too, which an output does not get by default."""
        with self.parts.database.write() as connection:
            output = find_output(connection, self.parts.workspace_id, MAIN_OUTPUT)
            assert output is not None
            settings = output.settings.model_copy(update={"send_user_attribute_changes": True})
            change_output(connection, output, settings, authorization="", secrets=())

    def rows(self, statement: Any) -> list[Any]:
        with self.parts.database.read() as connection:
            return list(connection.execute(statement).all())

    def called(self, call: Call, trouble: Trouble) -> None:
        """The line tells of a call."""
        assert call.action in {"identify", "login", "logout", "modify", "alias"}
        if call.action in {"modify", "alias"} or call.request_id in self.seen_requests:
            return
        device = next((each for each in self.devices if each.stamp == call.stamp), self.acting)
        if call.carried_out:
            self.seen_requests.add(call.request_id)
            device.carried_out(call.action)
        elif trouble is Trouble.REFUSED:
            device.refused(call.action)

    # ── what people do ───────────────────────────────────────────────────────────────────────────

    def look(self, which: int) -> None:
        self.get(which, "/about", "screen_view About")

    def add_to_cart(self, which: int) -> None:
        page = self.get(which, f"/products/{BALL}", "commerce_event view_detail")
        self.submit(which, page, "add-to-cart", {}, "commerce_event add_to_cart")

    def sign_up(self, which: int) -> None:
        device = self.devices[which]
        if device.person is not None:
            return
        self.accounts += 1
        name, email = f"Person {self.accounts}", f"person{self.accounts}@example.com"
        page = self.get(which, "/account/sign-up", "screen_view Sign Up")
        device.person = Person("", email, {name}, {email})
        self.people.append(device.person)
        device.begin("login")
        changes = ["user_attribute_change name", "user_attribute_change wants_marketing"]
        self.submit(which, page, "sign-up", {"name": name, "email": email}, *changes)
        with self.parts.database.read() as connection:
            created = customers.find_by_login(connection, self.parts.workspace_id, email)
        assert created is not None
        device.person.customer_id = created.customer_id
        self.get(which, "/account/welcome", "screen_view Welcome", "custom_event Signed Up")

    def sign_in(self, which: int) -> None:
        device = self.devices[which]
        if device.person is not None:
            return
        page = self.get(which, "/account", "screen_view My Account")
        device.person = person = self.random.choice(self.people)
        device.begin("login")
        user_id = self.random.choice([person.email, person.customer_id])
        self.submit(which, page, "sign-in", {"user_id": user_id, "password": PASSWORD})

    def sign_out(self, which: int) -> None:
        device = self.devices[which]
        if device.person is None:
            return
        page = self.get(which, "/account", "screen_view My Account")
        device.person = None
        device.begin("logout")
        self.submit(which, page, "sign-out", {})

    def change_email(self, which: int) -> None:
        person = self.devices[which].person
        if person is None or person.was_refused:
            return
        self.accounts += 1
        person.email, name = f"changed{self.accounts}@example.com", f"Person {self.accounts}"
        person.emails.add(person.email)
        person.names.add(name)
        page = self.get(which, "/account/profile", "screen_view Edit Profile")
        phone = self.random.choice(["", "+1 212 555 0100"])
        fields = {"name": name, "email": person.email, "phone": phone}
        self.submit(which, page, "save-profile", fields, "user_attribute_change name")

    def opt_out(self, which: int) -> None:
        device = self.devices[which]
        if device.is_opted_out:
            return
        page = self.get(which, "/privacy", "screen_view Privacy")
        waiting = self.waiting_events(device)
        undelivered = self.messages_of(device)
        asked = self.browsers[which].submit(page, "opt-out")
        assert asked.status == 303
        goodbye = self.new_rows()
        assert [row.name for row in goodbye] == ([] if waiting else ["Opted Out"])
        for row in goodbye:
            self.expected[row.id] = self.current(device)
        assert not self.waiting_events(device), "what nobody owns yet is forgotten"
        for event_id in waiting:
            del self.expected[event_id]
        assert not undelivered.keys() & self.messages_of(device).keys(), "they are taken back"
        self.withdrawn |= undelivered
        device.give_up_tracking()

    def opt_in(self, which: int) -> None:
        device = self.devices[which]
        if not device.is_opted_out:
            return
        page = self.get(which, "/privacy")
        device.is_opted_out = False
        self.submit(which, page, "opt-in", {}, "opt_out Opted In")

    # ── what happens around them ─────────────────────────────────────────────────────────────────

    def get_into_trouble(self) -> None:
        self.identity.trouble = self.random.choice(TROUBLES)

    def recover(self) -> None:
        self.identity.trouble = Trouble.NONE

    def wait(self) -> None:
        self.clock.forward(minutes=self.random.choice([0.02, 0.1, 1, 29, 29.999, 30, 31, 120]))

    def work_in_the_background(self) -> None:
        self.parts.background.do_round()
        self.judge(None, ())

    def restart(self) -> None:
        self.parts.close()
        self.parts = self.wired()
        app = self.app()
        for which, before in enumerate(self.browsers):
            after = Browser(app)
            for name in ("higgs_visit", "higgs_device"):
                value = before.cookie(name)
                if value is not None:
                    after.client.set_cookie(name, value)
            self.browsers[which] = after

    def crash_while_looking(self, which: int) -> None:
        if self.devices[which].stamp is None:
            return
        before, self.identity.trouble = self.identity.trouble, Trouble.CRASH
        self.acting = self.devices[which]
        page = self.browsers[which].get("/about")
        assert page.status in (200, 500)
        self.arrived(which)
        labels = ["screen_view About"] if page.status == 200 else []
        self.judge(self.devices[which], labels)
        self.identity.trouble = before
        self.restart()

    # ── each step, judged ────────────────────────────────────────────────────────────────────────

    def get(self, which: int, path: str, *labels: str) -> Page:
        self.acting = self.devices[which]
        page = self.browsers[which].get(path)
        assert page.status == 200
        self.arrived(which)
        self.judge(self.acting, labels)
        return page

    def submit(
        self, which: int, page: Page, button: str, fields: dict[str, str], *labels: str
    ) -> None:
        self.acting = self.devices[which]
        answer = self.browsers[which].submit(page, button, **fields)
        assert answer.status == 303, answer.html
        self.arrived(which)
        self.judge(self.acting, labels)

    def arrived(self, which: int) -> None:
        """A session that has begun may have begun a stretch, though its call was not made yet."""
        device = self.devices[which]
        device.stamp = self.browsers[which].cookie("higgs_device")
        ((owed,),) = self.rows(
            select(func.count())
            .select_from(identity_intents.join(visits, visits.c.id == identity_intents.c.visit_id))
            .where(visits.c.device_stamp == device.stamp, identity_intents.c.action == "identify")
        )
        if owed > device.identifies:
            device.begin("identify")
        assert owed == device.identifies

    def current(self, device: Device) -> Stretch:
        assert device.current is not None
        return device.current

    def judge(self, acting: Device | None, labels: Any) -> None:
        """Sort what was just logged: sessions and identity changes apart, it is what was done."""
        is_tracked = acting is not None and not acting.is_opted_out
        done = []
        for row in self.new_rows():
            device = next(each for each in self.devices if each.stamp == row.device_stamp)
            if row.event_type == "user_identity_change":
                new = row.data["new"]["identity"]
                self.changed_identities.append((new, row.id))
            elif row.code_place.startswith("higgs_shop/visitors/carrying_over.py"):
                assert row.event_type == "user_attribute_change"
                self.carried_attributes.add(row.id)
            elif row.event_type == "session_end":
                self.judge_end(device, row)
            else:
                assert device is acting
                self.expected[row.id] = self.current(device)
                if row.event_type == "session_start":
                    assert device.session_id is None, "a session begins before the last has ended"
                    assert row.logged_at_ms == self.clock()
                    device.session_id = row.session_id
                else:
                    done.append(f"{row.event_type} {row.name}")
                assert row.session_id == device.session_id
        assert done == (list(labels) if is_tracked else [])
        if is_tracked and acting is not None:
            acting.last_activity_ms = self.clock()
            acting.last_stretch = acting.current
        self.judge_frozen()

    def judge_end(self, device: Device, row: Any) -> None:
        assert row.session_id == device.session_id
        assert row.logged_at_ms == device.last_activity_ms
        assert self.clock() - row.logged_at_ms >= SILENCE_MS
        started_at_ms = row.data["session_start_unixtime_ms"]
        assert row.data["session_duration_ms"] == row.logged_at_ms - started_at_ms
        assert device.last_stretch is not None
        self.expected[row.id] = device.last_stretch
        device.session_id = None

    def judge_frozen(self) -> None:
        """What may have been sent is never changed, nor is it removed but when somebody opts out."""
        bodies = {row.id: row.body for row in self.rows(select(messages.c.id, messages.c.body))}
        kept = {
            number: self.frozen[number] for number in self.frozen.keys() - self.withdrawn.keys()
        }
        assert kept.items() <= bodies.items()
        self.frozen = bodies

    def messages_of(self, device: Device) -> dict[int, tuple[int, int]]:
        """Of what was done on it, whose and which of theirs. Nobody forwards here: none is delivered."""
        found = self.rows(
            select(messages.c.id, messages.c.mpid, messages.c.sequence)
            .join(events, events.c.id == messages.c.event_id)
            .join(visits, visits.c.id == events.c.visit_id)
            .where(visits.c.device_stamp == device.stamp)
        )
        return {row.id: (row.mpid, row.sequence) for row in found}

    def new_rows(self) -> list[Any]:
        found = self.rows(
            select(events, visits.c.device_stamp)
            .join(visits, visits.c.id == events.c.visit_id)
            .where(events.c.id > self.last_event_id)
            .order_by(events.c.id)
        )
        self.last_event_id = found[-1].id if found else self.last_event_id
        return found

    def waiting_events(self, device: Device) -> list[int]:
        return [
            row.id
            for row in self.rows(
                select(events.c.id)
                .join(visits, visits.c.id == events.c.visit_id)
                .where(visits.c.device_stamp == device.stamp, events.c.mpid.is_(None))
            )
        ]

    # ── the end, judged ──────────────────────────────────────────────────────────────────────────

    def settle_everything(self) -> None:
        self.identity.trouble = Trouble.NONE
        pending = select(func.count()).where(identity_intents.c.state == "pending")
        rounds = 0
        while self.rows(pending)[0][0]:
            self.clock.forward(minutes=5)
            self.work_in_the_background()
            rounds += 1
            assert rounds < 100, "calls stay owed though the service is well"
        self.clock.forward(minutes=30)
        self.work_in_the_background()
        assert not self.rows(select(stored_sessions).where(stored_sessions.c.ended_at_ms.is_(None)))

    def judge_the_whole(self) -> None:
        mpids = dict(self.rows(select(events.c.id, events.c.mpid).where(_IS_NO_COPY)))
        noted = {event_id for _, event_id in self.changed_identities} | self.carried_attributes
        assert mpids.keys() == self.expected.keys() | noted, "nothing is lost, nothing made up"
        assert None not in mpids.values(), "everybody is found in the end"
        mpid_of = self.match_profiles(mpids)
        self.judge_changes(mpids, mpid_of)
        self.judge_order()
        ((made,),) = self.rows(select(func.count()).select_from(stored_profiles))
        assert made == len(set(profiles_of(self.devices))), "one profile a person, no second"

    def match_profiles(self, mpids: dict[int, int | None]) -> dict[Profile, int]:
        """Every profile of the model is one MPID, and no two are the same."""
        mpid_of: dict[Profile, int] = {}
        for event_id, stretch in self.expected.items():
            mpid = mpids[event_id]
            assert stretch.profile is not None
            assert mpid is not None
            assert mpid_of.setdefault(stretch.profile, mpid) == mpid, f"event {event_id}"
        assert len(set(mpid_of.values())) == len(mpid_of)
        return mpid_of

    def judge_changes(self, mpids: dict[int, int | None], mpid_of: dict[Profile, int]) -> None:
        """A new identity, or a name, is on the profile of whose it is."""
        by_value = {value: person for person in self.people for value in person.emails}
        by_value |= {person.customer_id: person for person in self.people}
        for value, event_id in self.changed_identities:
            person = by_value.get(value)
            if person is not None and person.profile in mpid_of:
                assert mpids[event_id] == mpid_of[person.profile]
        owners = {mpid: profile.owner for profile, mpid in mpid_of.items()}
        for row in self.rows(select(user_attributes).where(user_attributes.c.name == "name")):
            owner = owners[row.mpid]
            if not any(person.was_refused for person in self.people):
                assert owner is not None
                assert row.value in owner.names

    def judge_order(self) -> None:
        """Per MPID without gaps but for what was taken back, and what was done on a device in the order in
        which it was done.

        (A change of identities comes with its call's answer, before what waits for a later one.)
        """
        rows = self.rows(
            select(messages, visits.c.device_stamp, events.c.data, events.c.mpid.label("whose"))
            .join(events, events.c.id == messages.c.event_id)
            .join(visits, visits.c.id == events.c.visit_id)
            .order_by(messages.c.mpid, messages.c.sequence)
        )
        counts: Counter[int] = Counter()
        taken_back = set(self.withdrawn.values())
        latest: dict[tuple[int, str], int] = {}
        for row in rows:
            counts[row.mpid] += 1
            while (row.mpid, counts[row.mpid]) in taken_back:
                counts[row.mpid] += 1
            body = json.loads(row.body)
            assert row.mpid == row.whose == body["mpid"]
            assert row.sequence == counts[row.mpid] == body["context"]["mpid_sequence"]
            assert body["events"][0]["data"] == row.data
            if row.event_id in self.expected:
                assert latest.get((row.mpid, row.device_stamp), 0) < row.event_id
                latest[row.mpid, row.device_stamp] = row.event_id
        ((logged,),) = self.rows(select(func.count()).select_from(events).where(_IS_NO_COPY))
        assert logged == len(rows) + len(taken_back), "every event is handed over once"


STEPS_OF_SOMEBODY: Sequence[tuple[Callable[[Walk, int], None], int]] = (
    (Walk.look, 4),
    (Walk.add_to_cart, 4),
    (Walk.sign_up, 2),
    (Walk.sign_in, 5),
    (Walk.sign_out, 5),
    (Walk.change_email, 3),
    (Walk.opt_out, 1),
    (Walk.opt_in, 2),
    (Walk.crash_while_looking, 1),
)
STEPS_OF_NOBODY: Sequence[tuple[Callable[[Walk], None], int]] = (
    (Walk.get_into_trouble, 5),
    (Walk.recover, 4),
    (Walk.wait, 6),
    (Walk.work_in_the_background, 5),
    (Walk.restart, 1),
)


def take_a_step(walk: Walk) -> None:
    """Somebody does something, or something happens. It is printed, and shown with a failure."""
    which = walk.random.choice([0, 0, 0, 1])
    chances = [chance for _, chance in (*STEPS_OF_SOMEBODY, *STEPS_OF_NOBODY)]
    number = walk.random.choices(range(len(chances)), chances)[0]
    if number < len(STEPS_OF_SOMEBODY):
        step = STEPS_OF_SOMEBODY[number][0]
        sys.stdout.write(f"browser {which}: {step.__name__}\n")
        step(walk, which)
    else:
        happening = STEPS_OF_NOBODY[number - len(STEPS_OF_SOMEBODY)][0]
        happening(walk)
        trouble, now_ms = walk.identity.trouble.value, walk.clock.now_ms
        sys.stdout.write(f"{happening.__name__}: {trouble}, {now_ms}\n")


@pytest.mark.parametrize("seed", range(WALKS))
def test_every_event_belongs_to_whoever_did_it(
    seed: int, tmp_path: Path, sqlite_file: Path, compiled_templates: BytecodeCache
) -> None:
    """Sixty steps each; the steps of a failing walk are printed."""
    shutil.copyfile(sqlite_file, tmp_path / "higgs-shop.db")
    walk = Walk(tmp_path, compiled_templates, Random(seed))
    try:
        for _ in range(STEPS):
            take_a_step(walk)
        walk.settle_everything()
        walk.judge_the_whole()
    finally:
        walk.parts.close()
