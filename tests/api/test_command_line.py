"""The command line, as people use it: in a process of its own where that matters."""

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import click
import httpx
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import create_engine, func, make_url, select, text

from higgs_shop.command_line import main
from higgs_shop.database import Database
from higgs_shop.furnishing import furnish
from higgs_shop.migrations import upgrade
from higgs_shop.settings import Settings
from higgs_shop.tables import events, identity_intents, messages, outputs
from tests.api.browsing import Browser, over_tcp
from tests.api.journeys import mpid, sign_in, sign_out
from tests.at_once import at_once
from tests.browser.store_process import until
from tests.network_faults import Receiver, Reply

PATIENCE_SECONDS = 60
DOCUMENT = Path(__file__).parents[2] / "docs" / "workspaces.md"
COMMANDS = [
    "run",
    "forward",
    "replay",
    "reset",
    "db upgrade",
    "workspaces list",
    "workspaces add",
    "workspaces change",
    "workspaces remove",
]
NEEDED = {
    "run": ["--port", "0"],
    "reset": ["--yes"],
    "workspaces add": ["kiosk"],
    "workspaces change": ["kiosk"],
    "workspaces remove": ["kiosk", "--yes"],
}


def command(*arguments: str, answer: str = "", **settings: str) -> Result:
    """Run a command in this process, with nothing of the environment but these settings."""
    unset = {name: None for name in os.environ if name.startswith("HIGGS_SHOP_")}
    given = {f"HIGGS_SHOP_{name}": value for name, value in settings.items()}
    return CliRunner().invoke(main, arguments, input=answer, env={**unset, **given})


@contextmanager
def running(
    *arguments: str, cwd: Path, **settings: str
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A store in a process of its own. Yields its address, and the process, which it ends."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("HIGGS_SHOP_")
    }
    environment |= {f"HIGGS_SHOP_{name}": value for name, value in settings.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "higgs_shop", *arguments],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        said = ""
        while "Stop it with" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        found = re.search(r"Higgs Shop +(https?://\S+)/", said)
        assert found is not None, said
        yield found[1], process
    finally:
        # With all its workers, which would else hold its output open.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def stop(process: subprocess.Popen[str], with_signal: int = signal.SIGTERM) -> tuple[int, str]:
    """Ask it to end. Returns its exit code, and what it said since it was ready."""
    process.send_signal(with_signal)
    said, _ = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, said


def get(
    address: str, path: str = "/about", *, verify: ssl.SSLContext | bool = True
) -> httpx.Response:
    """Look at a page as a browser that was never here before."""
    return httpx.get(f"{address}{path}", verify=verify, trust_env=False, timeout=PATIENCE_SECONDS)


def children(process_id: int) -> list[int]:
    """The processes that a process has started."""
    listed = Path(f"/proc/{process_id}/task/{process_id}/children").read_text()
    return [int(child) for child in listed.split()]


def sockets(process_id: int) -> set[str]:
    """The sockets that a process holds, by the kernel's numbers, which forked processes share."""
    held = set()
    for descriptor in Path(f"/proc/{process_id}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            held.add(str(descriptor.readlink()))
    return {each for each in held if each.startswith("socket:")}


class TestHelp:
    """What the commands say about themselves."""

    @pytest.mark.parametrize("name", COMMANDS)
    def test_every_command_shows_an_example(self, name: str) -> None:
        result = command(*name.split(), "--help")
        assert result.exit_code == 0
        assert f"Example: higgs-shop {name}" in result.output

    def test_every_command_is_tried_here(self) -> None:
        found = [
            f"{name} {below}" if below else name
            for name, each in main.commands.items()
            for below in (each.commands if isinstance(each, click.Group) else [""])
        ]
        assert sorted(found) == sorted(COMMANDS)

    def test_the_version_is_shown(self) -> None:
        assert re.search(r"\d+\.\d+", command("--version").output)


class TestWrongUse:
    """Exit code 2, and a line for each thing that is wrong."""

    def test_every_wrong_setting_gets_a_line(self, tmp_path: Path) -> None:
        result = command(
            "run", INSTANCE=str(tmp_path), PORT="many", ENVIRONMENT="moon", IDENTITY_PRIORITY="nose"
        )
        assert result.exit_code == 2
        lines = result.output.splitlines()
        assert [line.partition("=")[0] for line in lines] == [
            "HIGGS_SHOP_ENVIRONMENT",
            "HIGGS_SHOP_PORT",
            "HIGGS_SHOP_IDENTITY_PRIORITY",
        ]
        assert "many" in lines[1]
        assert "Traceback" not in result.output

    def test_secrets_that_production_refuses_are_named_at_once(self, tmp_path: Path) -> None:
        result = command(
            "run",
            INSTANCE=str(tmp_path),
            ENVIRONMENT="production",
            SECRET_KEY="SECRET",
            WEBHOOK_SECRET="SECRET",
        )
        lines = result.output.splitlines()
        assert [line.partition("=")[0] for line in lines] == [
            "HIGGS_SHOP_SECRET_KEY",
            "HIGGS_SHOP_IDSYNC_KEY",
            "HIGGS_SHOP_IDSYNC_SECRET",
            "HIGGS_SHOP_WEBHOOK_SECRET",
        ]

    @pytest.mark.parametrize("port", ["-1", "65536", "http"])
    def test_a_wrong_port_is_named(self, tmp_path: Path, port: str) -> None:
        result = command("run", "--port", port, INSTANCE=str(tmp_path))
        assert result.exit_code == 2
        assert port in result.output

    def test_an_identity_service_that_is_reached_in_the_open_is_refused(
        self, tmp_path: Path
    ) -> None:
        result = command(
            "run", "--port", "0", INSTANCE=str(tmp_path), IDSYNC_URL="http://identity.example/v1"
        )
        assert result.exit_code == 2
        (line,) = result.output.splitlines()
        assert "HIGGS_SHOP_IDSYNC_URL" in line
        assert "use https" in line
        assert list(tmp_path.iterdir()) == [], "before anything was made"

    def test_a_port_in_use_is_said_in_one_line(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            result = command("run", "--port", str(port), INSTANCE=str(tmp_path))
        assert result.exit_code == 2
        (line,) = result.output.splitlines()
        assert f"127.0.0.1:{port}" in line
        assert "--port 0" in line

    def test_several_processes_are_refused_on_sqlite(self, tmp_path: Path) -> None:
        result = command("run", "--workers", "2", "--port", "0", INSTANCE=str(tmp_path))
        assert result.exit_code == 2
        (line,) = result.output.splitlines()
        assert "PostgreSQL" in line
        assert "HIGGS_SHOP_DATABASE_URL" in line

    @pytest.mark.parametrize("name", COMMANDS)
    def test_a_database_that_cannot_be_used_is_said_in_one_line(
        self, tmp_path: Path, name: str
    ) -> None:
        (tmp_path / "shop.db").write_bytes(b"these are not the tables you are looking for" * 100)
        result = command(
            *name.split(),
            *NEEDED.get(name, []),
            INSTANCE=str(tmp_path),
            DATABASE_URL=f"sqlite:///{tmp_path / 'shop.db'}",
        )
        assert result.exit_code == 2, result.output
        (line,) = result.output.splitlines()
        assert "cannot be used" in line


class TestLookingAfterTheDatabase:
    """`db upgrade` and `reset`."""

    def test_an_upgrade_makes_the_tables_and_may_be_repeated(self, tmp_path: Path) -> None:
        for _ in range(2):
            result = command("db", "upgrade", INSTANCE=str(tmp_path))
            assert (result.exit_code, result.output) == (0, "The database is up to date.\n")
        database = Database(f"sqlite:///{tmp_path / 'higgs-shop.db'}")
        with database.read() as connection:
            assert connection.scalar(select(func.count()).select_from(events)) == 0
        database.close()

    @pytest.fixture
    def used(self, tmp_path: Path) -> Iterator[Database]:
        """A database in which somebody has worked before."""
        database = Database(f"sqlite:///{tmp_path / 'higgs-shop.db'}")
        upgrade(database)
        with database.write() as connection:
            furnish(connection, Settings(), 0)
            connection.execute(text("UPDATE outputs SET state = 'paused'"))
        yield database
        database.close()

    def is_as_left(self, database: Database) -> bool:
        with database.read() as connection:
            return connection.scalars(text("SELECT state FROM outputs")).all() == ["paused"]

    @pytest.mark.parametrize("answer", ["n\n", "\n", ""], ids=["no", "enter", "nothing"])
    def test_reset_asks_first(self, used: Database, tmp_path: Path, answer: str) -> None:
        result = command("reset", answer=answer, INSTANCE=str(tmp_path))
        assert result.exit_code == 1
        assert "Forget everything" in result.output
        assert str(tmp_path) in result.output
        assert self.is_as_left(used)

    @pytest.mark.parametrize(
        ("arguments", "answer"), [((), "y\n"), (("--yes",), "")], ids=["answered", "told"]
    )
    def test_reset_empties_every_table(
        self, used: Database, tmp_path: Path, arguments: tuple[str, ...], answer: str
    ) -> None:
        result = command("reset", *arguments, answer=answer, INSTANCE=str(tmp_path))
        assert result.exit_code == 0
        assert not self.is_as_left(used)

    def test_a_store_that_runs_goes_on_after_a_reset(self, tmp_path: Path) -> None:
        with running("run", "--port", "0", cwd=tmp_path, INSTANCE=str(tmp_path)) as (address, _):
            get(address, "/about")
            until(lambda: get(address, "/readyz").json()["forwarder"] == "running", "it forwards")
            assert command("reset", "--yes", INSTANCE=str(tmp_path)).exit_code == 0
            assert get(address, "/readyz").json()["forwarder"] == "running"
            assert 'data-state="anonymous"' in get(address, "/about").text
            assert "returning_user" in get(address, "/account").text

    def test_a_store_starts_after_a_reset(self, tmp_path: Path) -> None:
        assert command("db", "upgrade", INSTANCE=str(tmp_path)).exit_code == 0
        assert command("reset", "--yes", INSTANCE=str(tmp_path)).exit_code == 0
        with running("run", "--port", "0", cwd=tmp_path, INSTANCE=str(tmp_path)) as (address, _):
            assert "returning_user" in get(address, "/account").text


class TestWorkspaces:
    """`workspaces list`, `add`, `change` and `remove`."""

    def table(self, tmp_path: Path, *options: str) -> list[list[str]]:
        """What `list` says, word by word."""
        result = command("workspaces", "list", *options, INSTANCE=str(tmp_path))
        assert result.exit_code == 0, result.output
        return [line.split() for line in result.output.splitlines()]

    def refused(self, tmp_path: Path, *arguments: str) -> list[str]:
        """What is said against a command."""
        result = command("workspaces", *arguments, INSTANCE=str(tmp_path))
        assert result.exit_code == 2, result.output
        return result.output.splitlines()

    def test_a_store_has_one_from_the_start(self, tmp_path: Path) -> None:
        assert self.table(tmp_path) == [
            ["NAME", "PROFILES", "EVENTS", "STRATEGY", "KEY"],
            ["default", "0", "0", "profile_conversion", "demo-web-key"],
        ]

    def test_one_is_made_changed_and_removed(self, tmp_path: Path) -> None:
        of_outputs = select(outputs.c.workspace_id, outputs.c.name).where(
            outputs.c.workspace_id == "kiosk"
        )
        made = command(
            "workspaces", "add", "kiosk", "--strategy", "profile_link", INSTANCE=str(tmp_path)
        )
        assert made.exit_code == 0
        assert "The workspace kiosk is there." in made.output
        (secret,) = re.findall(r"secret +(\S+)", made.output)
        assert self.table(tmp_path, "--secrets")[2][:4] == ["kiosk", "0", "0", "profile_link"]
        assert self.table(tmp_path, "--secrets")[2][-1] == secret
        assert secret not in str(self.table(tmp_path))
        engine = create_engine(f"sqlite:///{tmp_path / 'higgs-shop.db'}")
        with engine.connect() as connection:
            assert [tuple(row) for row in connection.execute(of_outputs)] == [("kiosk", "webhook")]
        engine.dispose()

        arguments = ("change", "kiosk", "--key", "own", "--strategy", "default")
        changed = command("workspaces", *arguments, INSTANCE=str(tmp_path))
        assert re.search(r"login IDs +customerid\n", changed.output)
        assert secret in changed.output
        assert self.table(tmp_path)[2] == ["kiosk", "0", "0", "default", "own"]
        again = command("workspaces", *arguments, INSTANCE=str(tmp_path))
        assert again.output.startswith("Nothing changed.")

        removed = command("workspaces", "remove", "kiosk", "--yes", INSTANCE=str(tmp_path))
        assert removed.output == "The workspace kiosk is forgotten.\n"
        assert len(self.table(tmp_path)) == 2

    @pytest.mark.parametrize("answer", ["n\n", "\n", ""], ids=["no", "enter", "nothing"])
    def test_removing_asks_first(self, tmp_path: Path, answer: str) -> None:
        command("workspaces", "add", "kiosk", INSTANCE=str(tmp_path))
        asked = command("workspaces", "remove", "kiosk", answer=answer, INSTANCE=str(tmp_path))
        assert asked.exit_code == 1
        assert "Forget the workspace kiosk with 0 profiles, 0 events and all else" in asked.output
        assert len(self.table(tmp_path)) == 3
        command("workspaces", "remove", "kiosk", answer="y\n", INSTANCE=str(tmp_path))
        assert len(self.table(tmp_path)) == 2

    def test_what_another_strategy_cannot_keep_is_said_with_what_to_type(
        self, tmp_path: Path
    ) -> None:
        command("workspaces", "add", "kiosk", "--login-ids", "email", INSTANCE=str(tmp_path))
        (line,) = self.refused(tmp_path, "change", "kiosk", "--strategy", "best_match")
        assert "best_match has none" in line
        assert line.endswith("(--login-ids ,)")
        arguments = ("change", "kiosk", "--strategy", "best_match", "--login-ids", ",")
        changed = command("workspaces", *arguments, INSTANCE=str(tmp_path))
        assert re.search(r"login IDs +none\n", changed.output)

    def test_every_mistake_gets_a_line_with_what_is_allowed(self, tmp_path: Path) -> None:
        wrong = ("--strategy", "x", "--login-ids", "nose", "--key", " ")
        lines = self.refused(tmp_path, "add", "Kiosk", *wrong)
        assert [line.partition(":")[0] for line in lines] == [
            "NAME=Kiosk",
            "--key=",
            "--strategy=x",
            "--login-ids=nose",
        ]
        assert "small letters" in lines[0]
        assert "best_match" in lines[2]
        assert "customerid" in lines[3]
        assert len(self.table(tmp_path)) == 2

    def test_what_is_taken_is_refused(self, tmp_path: Path) -> None:
        assert self.refused(tmp_path, "add", "kiosk", "--key", "demo-web-key") == [
            "--key=demo-web-key: another workspace has that key; choose another"
        ]
        assert self.refused(tmp_path, "add", "default") == [
            "NAME=default: there is a workspace of that name; choose another"
        ]

    @pytest.mark.parametrize("name", ["kiosk", "\udcff", "../x", ""])
    @pytest.mark.parametrize("what", ["change", "remove"])
    def test_what_is_not_there_is_said(self, tmp_path: Path, what: str, name: str) -> None:
        (line,) = self.refused(tmp_path, what, name)
        assert line.startswith("NAME=")
        assert "no such workspace" in line

    @pytest.mark.parametrize("what", ["change", "remove"])
    def test_the_default_one_belongs_to_the_environment(self, tmp_path: Path, what: str) -> None:
        (line,) = self.refused(tmp_path, what, "default")
        assert "HIGGS_SHOP_IDENTITY_STRATEGY" in line

    def test_the_store_s_own_settings_are_left_alone(self, tmp_path: Path) -> None:
        """A command in another shell, with another environment, does not change a running store."""
        started = command("db", "upgrade", INSTANCE=str(tmp_path))
        assert started.exit_code == 0
        mine = {"INSTANCE": str(tmp_path), "IDSYNC_KEY": "my-key"}
        assert "my-key" in command("workspaces", "list", **mine).output
        assert self.table(tmp_path)[1][-1] == "my-key"

    def test_a_store_does_not_start_with_the_key_of_another_workspace(self, tmp_path: Path) -> None:
        command("workspaces", "add", "kiosk", "--key", "taken", INSTANCE=str(tmp_path))
        result = command("run", "--port", "0", INSTANCE=str(tmp_path), IDSYNC_KEY="taken")
        assert result.exit_code == 2
        assert result.output.splitlines() == [
            "HIGGS_SHOP_IDSYNC_KEY=taken: another workspace has that key"
        ]

    def test_the_documented_commands_do_what_is_said(self, tmp_path: Path) -> None:
        text = DOCUMENT.read_text("utf-8")
        documented = re.findall(r"^    higgs-shop (workspaces .*)$", text, re.MULTILINE)
        assert len(documented) == 4
        for line in documented:
            result = command(*line.split(), INSTANCE=str(tmp_path))
            assert result.exit_code == 0, result.output

    def test_a_reset_forgets_them(self, tmp_path: Path) -> None:
        command("workspaces", "add", "kiosk", INSTANCE=str(tmp_path))
        assert command("reset", "--yes", INSTANCE=str(tmp_path)).exit_code == 0
        assert len(self.table(tmp_path)) == 2

    def test_a_store_that_runs_serves_a_new_one_and_forgets_it(self, tmp_path: Path) -> None:
        call = {"environment": "development", "known_identities": {"customerid": "C-1"}}
        with running("run", "--port", "0", cwd=tmp_path, INSTANCE=str(tmp_path)) as (address, _):

            def identify() -> httpx.Response:
                return httpx.post(
                    f"{address}/identity/v1/identify",
                    json=call,
                    headers={"x-mp-key": "kiosk-key"},
                    trust_env=False,
                    timeout=PATIENCE_SECONDS,
                )

            assert identify().status_code == 401
            command("workspaces", "add", "kiosk", "--key", "kiosk-key", INSTANCE=str(tmp_path))
            assert identify().status_code == 200
            assert self.table(tmp_path)[2][:2] == ["kiosk", "1"]
            removed = command("workspaces", "remove", "kiosk", "--yes", INSTANCE=str(tmp_path))
            assert removed.exit_code == 0, removed.output
            assert identify().status_code == 401


class TestRunning:
    """`run` and `forward`, in processes of their own."""

    @pytest.mark.parametrize("with_signal", [signal.SIGTERM, signal.SIGINT])
    def test_it_prints_where_it_is_and_ends_when_told_to(
        self, tmp_path: Path, with_signal: signal.Signals
    ) -> None:
        with running("run", "--port", "0", cwd=tmp_path, INSTANCE=str(tmp_path)) as (
            address,
            process,
        ):
            assert get(address, "/healthz").json()["status"] == "ok"
            assert stop(process, with_signal) == (0, "")

    def test_it_ends_even_when_it_was_only_just_ready(self, tmp_path: Path) -> None:
        with running("run", "--port", "0", cwd=tmp_path, INSTANCE=str(tmp_path)) as (_, process):
            assert stop(process) == (0, "")

    def test_what_is_in_flight_is_finished_and_nothing_is_lost(self, tmp_path: Path) -> None:
        """It is told to end while a page waits for the identity service."""
        with Receiver() as identity, Receiver() as webhook, ThreadPoolExecutor(1) as browser:
            identity.hold()
            settings = {
                "INSTANCE": str(tmp_path),
                "IDSYNC_URL": f"{identity.url}/v1",
                "WEBHOOK_URL": f"{webhook.url}/hook",
            }
            with running("run", "--port", "0", cwd=tmp_path, **settings) as (address, process):
                page = browser.submit(get, address)
                identity.wait_for(1, PATIENCE_SECONDS)
                assert stop(process)[0] == 0
                assert page.result(PATIENCE_SECONDS).status_code == 200
            identity.release()
        with Receiver() as webhook:
            settings = {"INSTANCE": str(tmp_path), "WEBHOOK_URL": f"{webhook.url}/hook"}
            with running("run", "--port", "0", cwd=tmp_path, **settings):
                names = [request.body for request in webhook.wait_for(2, PATIENCE_SECONDS)]
        assert b"session_start" in names[0]
        assert b"About" in names[1]

    def test_a_forwarder_works_beside_another_server(self, tmp_path: Path) -> None:
        with Receiver() as webhook:
            settings = {"INSTANCE": str(tmp_path), "WEBHOOK_URL": f"{webhook.url}/hook"}
            process = subprocess.Popen(
                [sys.executable, "-m", "higgs_shop", "forward"],
                cwd=tmp_path,
                env={**os.environ, **{f"HIGGS_SHOP_{name}": settings[name] for name in settings}},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == f"Forwarding to {webhook.url}/hook (webhook)\n"
                assert stop(process) == (0, "")
            finally:
                process.kill()
                process.communicate()


class TestSeveralProcesses:
    """`--workers 2`, on PostgreSQL."""

    @pytest.fixture
    def workers_url(self, postgresql_url: str) -> Iterator[str]:
        """The URL of a database of its own, empty."""
        server = make_url(postgresql_url)
        engine = create_engine(server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text("DROP DATABASE IF EXISTS workers"))
            connection.execute(text("CREATE DATABASE workers"))
        yield server.set(database="workers").render_as_string(hide_password=False)
        with engine.connect() as connection:
            connection.execute(text("DROP DATABASE workers WITH (FORCE)"))
        engine.dispose()

    def test_they_end_even_when_they_were_only_just_ready(
        self, tmp_path: Path, workers_url: str
    ) -> None:
        settings = {"INSTANCE": str(tmp_path), "DATABASE_URL": workers_url}
        arguments = ("run", "--workers", "2", "--port", "0")
        with running(*arguments, cwd=tmp_path, **settings) as (_, process):
            assert stop(process) == (0, "")

    def test_they_share_no_connection(self, tmp_path: Path, workers_url: str) -> None:
        """Each has its own to the identity service and to the database, and their parent has none."""
        known = Reply(headers={"Content-Type": "application/json"}, body=b'{"mpid": "4711"}')
        with Receiver(lambda _: known) as identity, ThreadPoolExecutor(1) as browser:
            identity.hold()
            settings = {
                "INSTANCE": str(tmp_path),
                "DATABASE_URL": workers_url,
                "IDSYNC_URL": f"{identity.url}/v1",
                "IDENTITY_BUDGET_SECONDS": str(PATIENCE_SECONDS),
            }
            arguments = ("run", "--workers", "2", "--port", "0")
            with running(*arguments, cwd=tmp_path, **settings) as (address, process):
                page = browser.submit(get, address)
                identity.wait_for(1, PATIENCE_SECONDS)
                first, second = (sockets(child) for child in children(process.pid))
                (listening,) = sockets(process.pid)
                assert first & second == {listening}
                assert len(first | second) > 3, "the browser's, the service's and the database's"
                identity.release()
                assert page.result(PATIENCE_SECONDS).status_code == 200
                assert stop(process) == (0, "")

    def test_they_serve_https_with_one_certificate(self, tmp_path: Path, workers_url: str) -> None:
        settings = {"INSTANCE": str(tmp_path), "DATABASE_URL": workers_url}
        arguments = ("run", "--tls", "--workers", "2", "--port", "0")
        with running(*arguments, cwd=tmp_path, **settings) as (address, process):
            trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            trusted.load_verify_locations(tmp_path / "certificate.pem")
            for _ in range(6):
                assert get(address, "/healthz", verify=trusted).status_code == 200
            assert stop(process) == (0, "")

    def test_they_share_the_work_and_do_nothing_twice(
        self, tmp_path: Path, workers_url: str
    ) -> None:
        with Receiver() as webhook, ThreadPoolExecutor(4) as browsers:
            settings = {
                "INSTANCE": str(tmp_path),
                "DATABASE_URL": workers_url,
                "WEBHOOK_URL": f"{webhook.url}/hook",
            }
            with running("run", "--workers", "2", "--port", "0", cwd=tmp_path, **settings) as (
                address,
                process,
            ):
                pages = list(browsers.map(get, [address] * 4))
                assert [page.status_code for page in pages] == [200] * 4
                webhook.wait_for(8, PATIENCE_SECONDS)
                assert stop(process) == (0, "")
            posted = [request.headers["webhook-id"] for request in webhook.requests]
            assert len(posted) == len(set(posted)) == 8
        database = Database(workers_url)
        with database.read() as connection:
            states = connection.execute(select(identity_intents.c.state)).scalars().all()
            assert list(states) == ["done"] * 4
            delivered = select(func.count()).where(messages.c.state == "delivered")
            assert connection.scalar(delivered) == 8
        database.close()

    def test_people_who_sign_in_everywhere_at_once_are_one_person_each(
        self, tmp_path: Path, workers_url: str
    ) -> None:
        people = ("returning_user", "shared_device_user")

        def sign_in_and_out(browser: Browser, number: int) -> list[tuple[str, str]]:
            """Two people on one device, one after the other."""
            seen = []
            for turn in range(len(people)):
                person = people[(number + turn) % len(people)]
                seen.append((person, mpid(sign_in(browser, person))))
                sign_out(browser)
            return seen

        settings = {"INSTANCE": str(tmp_path), "DATABASE_URL": workers_url}
        arguments = ("run", "--workers", "2", "--port", "0")
        with running(*arguments, cwd=tmp_path, **settings) as (address, process):
            browsers = [Browser(over_tcp(address), base_url=address) for _ in range(4)]
            seen = at_once(
                [partial(sign_in_and_out, *each) for each in zip(browsers, range(4), strict=True)]
            )
            assert stop(process) == (0, "")
        # As many pairs as people: nobody was ever somebody else.
        assert len({pair for of_one in seen for pair in of_one}) == len(people)
        assert len({number for of_one in seen for _, number in of_one}) == len(people)
        assert deadlocks(workers_url) == 0


def deadlocks(url: str) -> int:
    """How many there ever were in the database, once everybody has left it."""
    others = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    counted = text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        until(lambda: connection.scalar(others) == 0, "everybody left")
        found: int = connection.scalars(counted).one()
    engine.dispose()
    return found
