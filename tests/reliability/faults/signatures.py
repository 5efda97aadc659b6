"""Signatures (D9): what is sent, byte for byte, verified by a library that is not ours."""

import base64
import json
import random
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from standardwebhooks import Webhook, WebhookVerificationError

from higgs_shop import outbox
from higgs_shop.clock import system_clock
from higgs_shop.database import Database
from higgs_shop.migrations import upgrade
from higgs_shop.outbox import Draft
from higgs_shop.outgoing_http import OutgoingHttp
from higgs_shop.webhook_output import Sender
from tests.network_faults import THIS_MACHINE, Received, Receiver
from tests.reliability.result import Result
from tests.reliability.scene import Scene
from tests.webhook_outputs import an_output

_PATH: Final = "/webhook-of-d9"
_LONG_CHARACTERS: Final = 20_000
_MPID: Final = 4711


def random_body(chance: random.Random, *, characters: int) -> bytes:
    """JSON with text of every plane, and members in no particular order."""
    planes = ("az", "\x20\x7e", "äÿ", "ࠀ\ud7ff", "\U0001f300\U0001faff")
    text = "".join(
        chr(chance.randint(*map(ord, chance.choice(planes)))) for _ in range(max(1, characters))
    )
    members = dict.fromkeys(chance.sample("zyxabc", 3), text)
    return json.dumps(members, ensure_ascii=chance.random() < 0.5).encode()


def random_secret(chance: random.Random) -> str:
    """As long as the specification allows."""
    return "whsec_" + base64.b64encode(chance.randbytes(chance.randint(24, 64))).decode()


@dataclass(frozen=True)
class Outcome:
    """What arrived of random bodies, while the secret changes from an old to a new one.

    Attributes:
        altered: bodies that are not the bytes that were kept.
        refused: those that do not hold with the old secret, or not with the new.
        believed: those that hold although a byte was changed on the way.
    """

    bodies: int
    arrived: int
    altered: int
    refused: int
    believed: int

    @property
    def is_sound(self) -> bool:
        """Whether all arrived, and every one held."""
        return self.arrived == self.bodies and not (self.altered or self.refused or self.believed)


def verify(database: Database, *, bodies: int, chance: random.Random) -> Outcome:
    """Send random bodies, the first a long one, over a socket.

    Args:
        database: without messages.
    """
    made = [random_body(chance, characters=_LONG_CHARACTERS)]
    made += [random_body(chance, characters=chance.randint(0, 500)) for _ in range(bodies - 1)]
    secrets = [random_secret(chance), random_secret(chance)]
    with (
        Receiver() as receiver,
        OutgoingHttp(deadline_seconds=30, max_answer_bytes=1_000, reach=THIS_MACHINE) as http,
    ):
        output = an_output(database, url=f"{receiver.url}{_PATH}")
        with database.write() as connection:
            outbox.enqueue(
                connection,
                workspace_id="default",
                output_id=output.id,
                mpid=_MPID,
                drafts=[Draft(None, lambda *_, body=body: body) for body in made],
                now_ms=system_clock(),
            )
        sender = Sender(
            database,
            http,
            timeout_seconds=30,
            clock=system_clock,
            inbox_address=output.settings.url,
            secrets=secrets,
        )
        while sender.deliver_due():
            pass
        arrived = [request for request in receiver.requests if request.path == _PATH]
    return Outcome(
        bodies=bodies,
        arrived=len(arrived),
        altered=sum(request.body != body for request, body in zip(arrived, made, strict=False)),
        refused=sum(
            not all(_holds(secret, request, request.body) for secret in secrets)
            for request in arrived
        ),
        believed=sum(
            any(_holds(secret, request, changed) for secret in secrets)
            for request, changed in zip(arrived, _changed(arrived, chance), strict=True)
        ),
    )


def _holds(secret: str, request: Received, body: bytes) -> bool:
    try:
        Webhook(secret).verify(body, dict(request.headers))
    except WebhookVerificationError:
        return False
    return True


def _changed(requests: list[Received], chance: random.Random) -> Iterator[bytes]:
    """Each body with another ASCII character somewhere."""
    for request in requests:
        body = bytearray(request.body)
        place = chance.choice(
            [at for at, byte in enumerate(body) if byte < 128 and chr(byte).isalpha()]
        )
        body[place] ^= 0x01
        yield bytes(body)


def random_bodies(scene: Scene) -> list[Result]:
    """D9: random bodies under random secrets."""
    with closing(Database(f"sqlite:///{scene.folder / 'higgs-shop.db'}")) as database:
        upgrade(database)
        chance = random.Random(scene.seed)
        outcome = verify(database, bodies=scene.size.events, chance=chance)
    return [
        Result(
            "signatures, two secrets",
            f"{outcome.bodies} bodies, {outcome.arrived} arrived, {outcome.altered} altered,"
            f" {outcome.refused} refused, {outcome.believed} believed with a byte changed",
            () if outcome.is_sound else (str(outcome),),
        )
    ]
