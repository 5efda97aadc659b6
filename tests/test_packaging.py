"""What people install is whole: the wheel holds pages, style and migrations, and serves from anywhere."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from zipfile import ZipFile

import httpx
import pytest

PROJECT = Path(__file__).parent.parent
START_TIMEOUT_SECONDS = 60.0


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with a wheel and a source archive of this project."""
    folder = tmp_path_factory.mktemp("dist")
    run("build", "--no-isolation", "--wheel", "--sdist", f"--outdir={folder}", str(PROJECT))
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (file,) = built.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel installed into it, away from the project."""
    folder = tmp_path_factory.mktemp("installed")
    run("pip", "install", "--no-deps", "--no-index", f"--target={folder}", str(wheel))
    return folder


def run(module: str, *arguments: str) -> None:
    """Run a Python tool, and fail with what it said."""
    answer = subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, f"\n{answer.stdout}{answer.stderr}"


def shipped(folder: str) -> set[str]:
    """The files of one of the project's folders that have to be in every package."""
    return {
        file.relative_to(PROJECT).as_posix()
        for file in (PROJECT / folder).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


@contextmanager
def served(installed: Path, instance: Path) -> Iterator[str]:
    """The address of a store that runs from there, stopped in the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "higgs_shop", "run", "--port", "0"],
        cwd=instance,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(installed),
            "PYTHONUNBUFFERED": "1",
            "HIGGS_SHOP_INSTANCE": str(instance),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    # Reading a silent process would wait forever; killed, it ends the output.
    lid = Timer(START_TIMEOUT_SECONDS, process.kill)
    lid.start()
    try:
        yield _printed_address(process)
    finally:
        lid.cancel()
        process.terminate()
        process.communicate(timeout=30)


def _printed_address(process: subprocess.Popen[str]) -> str:
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        said += line
        if address := re.search(r"http://127\.0\.0\.1:\d+", line):
            return address.group()
    pytest.fail(f"the store printed no address:\n{said}")


def test_the_wheel_holds_pages_style_and_migrations(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())

    outside = {f"higgs_shop/{file}" for file in shipped("templates") | shipped("static")}
    assert outside <= names
    assert shipped("higgs_shop") <= names
    assert any(re.fullmatch(r"higgs_shop/migrations/versions/.+\.py", name) for name in names)
    assert all(name.startswith(("higgs_shop/", "higgs_shop-")) for name in names)


def test_the_source_archive_holds_what_a_wheel_is_made_of(built: Path) -> None:
    (file,) = built.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert shipped("templates") | shipped("static") | shipped("higgs_shop") <= names
    assert {"pyproject.toml", "README.md", "LICENSE"} <= names


def test_an_installed_store_serves_its_own_pages_and_style(installed: Path, tmp_path: Path) -> None:
    sheet = min((installed / "higgs_shop" / "static" / "css").glob("*.css"))

    with served(installed, tmp_path) as address, httpx.Client(trust_env=False, timeout=30) as web:
        page = web.get(f"{address}/")
        style = web.get(f"{address}/static/css/{sheet.name}")

    assert page.status_code == 200
    assert "/static/css/" in page.text
    assert style.status_code == 200
    assert style.content == sheet.read_bytes()


def test_pins_agree() -> None:
    """What pyproject.toml asks for is what the requirements files hold."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    run_pins, test_pins = (pins(f"requirements{part}.txt") for part in ("", "-test"))

    assert run_pins.items() <= test_pins.items()
    assert dict(map(pin, project["dependencies"])).items() <= run_pins.items()
    assert dict(map(pin, project["optional-dependencies"]["test"])).items() <= test_pins.items()


def pins(file: str) -> dict[str, str]:
    """Name and version of each line that is not a remark."""
    lines = (PROJECT / file).read_text(encoding="utf-8").splitlines()
    return dict(pin(line) for line in lines if line and not line.startswith("#"))


def pin(requirement: str) -> tuple[str, str]:
    """`psycopg[binary]==3.3.9` is ("psycopg", "3.3.9"); names are compared as the registry does."""
    name, version = requirement.split("==")
    return re.sub(r"[-_.]+", "-", name.partition("[")[0]).lower(), version
