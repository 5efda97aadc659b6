"""The one place where concrete parts meet. No Flask application is made here."""

import functools
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from sqlalchemy import Connection
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from higgs_shop import idsync_service, intake, outbox
from higgs_shop.aliasing import Aliasing
from higgs_shop.apis.openapi import Api
from higgs_shop.apis.rate_limit import RateLimiter, parse_limit
from higgs_shop.background import Background, beat, this_forwarder
from higgs_shop.clock import Clock, system_clock
from higgs_shop.clock_steps import ClockSteps
from higgs_shop.database import STARTING_TIMEOUT_MS, Database
from higgs_shop.furnishing import furnish
from higgs_shop.identity_client import Hmac, IdentityClient, User
from higgs_shop.idsync_service import (
    STRATEGIES,
    Aliases,
    Resolver,
    Strategy,
    WorkspacesByKey,
    create_alias_service,
    create_service,
    random_mpid,
)
from higgs_shop.inbox import HeldAnswers
from higgs_shop.instance_secrets import InstanceSecrets, load_secrets
from higgs_shop.intake_people import ask_embedded, ask_remote
from higgs_shop.migrations import upgrade
from higgs_shop.networks import Reach
from higgs_shop.outgoing_http import OutgoingHttp
from higgs_shop.own_inbox import OwnInbox
from higgs_shop.retention import Retention
from higgs_shop.settings import Settings
from higgs_shop.shop import Catalog, shipped_catalog
from higgs_shop.tls import Certificate, load_certificate
from higgs_shop.tracker import Gatherer, Tracker
from higgs_shop.visitors import CALL_SHARE, OwedCalls, Visitors
from higgs_shop.webhook_output import (
    Forwarder,
    Sender,
    longest_waits_ms,
)

EMBEDDED_URL = "http://localhost/v1"
"""The embedded service's address inside the process; nothing listens there."""

EMBEDDED_ALIAS_URL = "http://localhost/webevents/v1/identity"

IDENTITY_MOUNT: Final = "/identity"
ALIAS_MOUNT: Final = "/webevents/v1/identity"
WEB_INTAKE_MOUNT: Final = "/webevents"
WEB_CONFIG_MOUNT: Final = "/tags"
SERVER_INTAKE_MOUNT: Final = "/s2s"

APIS: Final[Mapping[str, Api]] = {
    IDENTITY_MOUNT: idsync_service.API,
    ALIAS_MOUNT: idsync_service.ALIAS_API,
    WEB_INTAKE_MOUNT: intake.WEB_API,
    WEB_CONFIG_MOUNT: intake.CONFIG_API,
    SERVER_INTAKE_MOUNT: intake.SERVER_API,
}
"""Every HTTP API that is mounted beside the pages, by its mount, as /openapi.json describes it."""

_MAX_ANSWER_BYTES = 64 * 1024
# The others go on serving pages while the inbox holds answers back.
_THREADS_A_HELD_ANSWER = 4

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """Everything that a running store is made of."""

    settings: Settings
    secrets: InstanceSecrets
    certificate: Certificate | None
    clock: Clock
    database: Database
    catalog: Catalog
    strategy: Strategy
    embedded_service: Any
    """Identity and alias as the store's own client reaches them: one service, under EMBEDDED_URL."""
    identity_service: Any
    alias_service: Any
    web_intake: Any
    web_config: Any
    server_intake: Any
    resolver: Resolver
    identity_client: IdentityClient
    visitors: Visitors
    owed_calls: OwedCalls
    sender: Sender
    forwarder: Forwarder
    background: Background
    watch: Background
    """What a process does that serves pages and leaves the rest to those that forward."""
    workspace_id: str
    inbox_address: str
    webhook_reach: Reach
    """Where outputs may post."""
    own_inbox: OwnInbox
    held_answers: HeldAnswers
    outgoing: tuple[OutgoingHttp, ...]

    def start_background_work(self) -> None:
        """Start delivering, and carrying out what is owed. Once a process."""
        if self.database.is_sqlite:
            # The only process there is: whoever holds a lease was killed.
            outbox.forget_leases(self.database)
            self.owed_calls.forget_leases()
        self.forwarder.start()
        self.background.start()

    def start_watching(self) -> None:
        """Start what is not left to others, in a process that does not forward. Once a process."""
        self.watch.start()

    def close(self) -> None:
        """Finish or hand back what is in flight, and close every connection."""
        self.held_answers.close()
        self.watch.stop()
        self.background.stop()
        self.forwarder.stop()
        for http in self.outgoing:
            http.close()
        self.database.close()


def wire(
    settings: Settings,
    *,
    clock: Clock = system_clock,
    identity_transport: httpx.BaseTransport | None = None,
) -> Parts:
    """Build a store from its settings: database upgraded, workspace and ready accounts there.

    Args:
        identity_transport: how the identity service is reached. By default over TCP when it has a
            URL, and within the process when it is the embedded one.
    Raises: SettingsError; DatabaseError when the database cannot be used.
    """
    secrets = load_secrets(settings)
    certificate = load_certificate(settings, clock()) if settings.tls else None
    settings.instance.mkdir(parents=True, exist_ok=True)
    starting = Database(settings.database_url, busy_timeout_ms=STARTING_TIMEOUT_MS)
    upgrade(starting)
    with starting.write() as connection:
        workspace = furnish(connection, settings, clock())
    starting.close()
    database = Database(settings.database_url)

    strategy = STRATEGIES[settings.identity_strategy]
    limit = parse_limit(settings.rate_limit)
    rate_limiter = None if limit is None else RateLimiter(limit, clock=clock)
    identity_service = create_service(
        database,
        clock=clock,
        new_mpid=random_mpid,
        trusted_hosts=("localhost", *settings.trusted_hosts),
        rate_limiter=rate_limiter,
    )
    find_workspace = WorkspacesByKey(database, clock=clock)
    aliases = Aliases(database, clock=clock, delay_ms=settings.alias_delay_seconds * 1_000)
    alias_service = create_alias_service(
        aliases,
        find_workspace=find_workspace,
        clock=clock,
        trusted_hosts=("localhost", *settings.trusted_hosts),
        rate_limiter=rate_limiter,
    )
    embedded_service = DispatcherMiddleware(
        identity_service, {urlsplit(EMBEDDED_ALIAS_URL).path: alias_service}
    )
    if identity_transport is None and not settings.idsync_url:
        identity_transport = httpx.WSGITransport(embedded_service, raise_app_exceptions=False)
    alias_url = settings.alias_url if settings.idsync_url else EMBEDDED_ALIAS_URL
    identity_http = OutgoingHttp(
        deadline_seconds=settings.identity_budget_seconds * CALL_SHARE,
        max_answer_bytes=_MAX_ANSWER_BYTES,
        reach=settings.reach,
        transport=identity_transport,
    )
    webhook_reach = _reach_with_inbox(settings)
    webhook_http = OutgoingHttp(
        deadline_seconds=settings.webhook_timeout_seconds,
        max_answer_bytes=_MAX_ANSWER_BYTES,
        # Whoever answers 2xx has it, however much it says.
        cuts_answers=True,
        reach=webhook_reach,
        # Some outputs may post to its own inbox.
        ssl_context=certificate.client_context() if certificate else None,
    )
    identity_client = IdentityClient(
        base_url=settings.idsync_url or EMBEDDED_URL,
        alias_url=alias_url or None,
        auth=Hmac(settings.idsync_key, settings.idsync_secret.get_secret_value(), clock),
        http=identity_http,
        clock=clock,
        environment=settings.environment,
        on_user_changed=_log_user_change,
    )
    inbox_address = f"{_own_address(settings)}/inbox/{secrets.inbox_token}"

    def lease_clock(connection: Connection) -> int:
        return outbox.mailbox_time(connection, clock())

    sender = Sender(
        database,
        webhook_http,
        timeout_seconds=settings.webhook_timeout_seconds,
        clock=clock,
        lease_clock=lease_clock,
        inbox_address=inbox_address,
        secrets=[secrets.webhook_secret],
        schedule_seconds=settings.webhook_retry_seconds,
    )
    forwarder = Forwarder(
        sender,
        clock=clock,
        beat=functools.partial(beat, database, this_forwarder()),
    )
    backlog_cap = outbox.BacklogCap(
        database, most_waiting=settings.webhook_most_waiting, clock=clock
    )
    waits = outbox.Waits(
        database,
        lease_ms=sender.lease_ms,
        longest_waits_ms=longest_waits_ms(settings.webhook_retry_seconds),
    )
    tracker = Tracker(environment=settings.environment, clock=clock)
    owed_calls = OwedCalls(
        database=database,
        client=identity_client,
        tracker=tracker,
        clock=clock,
        has_login=strategy.has_login,
        carries_over=strategy.has_alias and identity_client.has_alias,
        budget_seconds=settings.identity_budget_seconds,
        on_events=forwarder.wake,
    )
    visitors = Visitors(
        database=database,
        tracker=tracker,
        owed_calls=owed_calls,
        clock=clock,
        workspace_id=workspace.id,
        has_login=strategy.has_login,
        on_events=forwarder.wake,
    )
    resolver = Resolver(database, clock=clock, new_mpid=random_mpid)
    aliasing = Aliasing(
        database,
        clock=clock,
        on_messages=forwarder.wake,
    )
    gatherer = Gatherer(
        database,
        clock=clock,
        batch_ms=settings.webhook_batch_seconds * 1_000,
        on_messages=forwarder.wake,
    )
    set_back = ClockSteps(
        clock, owners=(aliases.bring_back, visitors.bring_back, gatherer.bring_back)
    )
    lease_set_back = ClockSteps(
        functools.partial(_lease_time, database, lease_clock), owners=(waits.bring_back,)
    )
    retention = Retention(database, days=settings.retention_days, clock=clock)
    embedded = ask_embedded(resolver)
    batches = intake.Intake(
        database,
        resolve=ask_remote(identity_client, embedded) if settings.idsync_url else embedded,
        clock=clock,
        on_events=forwarder.wake,
    )
    return Parts(
        settings=settings,
        secrets=secrets,
        certificate=certificate,
        clock=clock,
        database=database,
        catalog=shipped_catalog(),
        strategy=strategy,
        embedded_service=embedded_service,
        identity_service=identity_service,
        alias_service=alias_service,
        web_intake=intake.create_web_intake(
            batches,
            find_workspace=find_workspace,
            trusted_hosts=settings.trusted_hosts,
            rate_limiter=rate_limiter,
        ),
        web_config=intake.create_web_config(
            find_workspace=find_workspace,
            trusted_hosts=settings.trusted_hosts,
            rate_limiter=rate_limiter,
        ),
        server_intake=intake.create_server_intake(
            batches,
            find_workspace=find_workspace,
            trusted_hosts=settings.trusted_hosts,
            rate_limiter=rate_limiter,
        ),
        resolver=resolver,
        identity_client=identity_client,
        visitors=visitors,
        owed_calls=owed_calls,
        sender=sender,
        forwarder=forwarder,
        background=Background(
            chores=(
                set_back.look,
                lease_set_back.look,
                owed_calls.make_all_due,
                visitors.end_silent_sessions,
                aliasing.carry_out_due,
                backlog_cap.look,
                gatherer.hand_over_due,
                retention.remove_old,
                functools.partial(
                    outbox.go_on_choosing, database, clock=clock, on_messages=forwarder.wake
                ),
            ),
            beat=lambda: beat(database, "background", clock()),
        ),
        # Who forwards may be gone for a week, and pages go on giving messages.
        watch=Background(chores=(backlog_cap.look,)),
        workspace_id=workspace.id,
        inbox_address=inbox_address,
        webhook_reach=webhook_reach,
        own_inbox=OwnInbox(
            database,
            workspace_id=workspace.id,
            address=inbox_address,
            webhook_secret=secrets.webhook_secret,
        ),
        held_answers=HeldAnswers(max(1, settings.threads // _THREADS_A_HELD_ANSWER)),
        outgoing=(identity_http, webhook_http),
    )


def _lease_time(database: Database, lease_clock: outbox.LeaseClock) -> int:
    with database.read() as connection:
        return lease_clock(connection)


def _own_address(settings: Settings) -> str:
    """Where this server reaches itself: a wildcard address is reached by loopback."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)  # noqa: S104
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return f"{'https' if settings.tls else 'http'}://{host}:{settings.port}"


def _reach_with_inbox(settings: Settings) -> Reach:
    """An output without a URL posts to the store's own inbox: to this host at this port."""
    host = urlsplit(_own_address(settings)).hostname or ""
    return replace(settings.reach, own=(host, settings.port))


def _log_user_change(previous: User | None, new: User) -> None:
    before = previous.mpid if previous else "nobody"
    _logger.info("current user: %s, before: %s", new.mpid, before)
