"""Workspaces: another app's people beside the shop's, with and without JavaScript."""

import json
import shlex
import urllib.request

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewShopper
from tests.browser.shopper import Shopper
from tests.browser.store_process import StoreProcess


@pytest.fixture(params=[True, False], ids=["scripts", "no-scripts"])
def observer(
    request: pytest.FixtureRequest, observed_store: StoreProcess, new_shopper: NewShopper
) -> Shopper:
    """Somebody at the store that asks for the operator token, who knows it."""
    observer = new_shopper(observed_store.address, java_script_enabled=request.param)
    observer.open_inbox()
    return observer


def ask(example: str) -> str:
    """Do what the command that is to be copied does. Returns the MPID."""
    _, _, url, _, header, _, body = shlex.split(example)
    name, _, value = header.partition(": ")
    request = urllib.request.Request(url, body.encode(), {name: value})  # noqa: S310 (the store)
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return str(json.load(answer)["mpid"])


def test_somebody_is_made_looked_at_and_forgotten(observer: Shopper) -> None:
    observer.open("/")
    mine = observer.mpid
    observer.open("/workspaces")
    observer.see("workspace-name").fill("Kiosk")
    observer.press("workspace-add")
    expect(observer.see("workspace-name-error")).to_contain_text("small letters")
    observer.see("workspace-name").fill("kiosk")
    observer.see("workspace-strategy").select_option("profile_isolation")
    observer.press("workspace-add")
    mpid = ask(observer.see("workspace-example").inner_text())

    observer.press("workspace-look-at-profiles")
    expect(observer.see("profile-row")).to_have_count(1)
    observer.press("profile-link")
    expect(observer.see("profile-mpid")).to_have_text(mpid)
    observer.press("back-to-profiles")
    expect(observer.see("in-workspace")).to_have_text("kiosk")
    observer.see("look-into").select_option("default")
    observer.press("look-into-it")
    expect(observer.page.locator(f"[data-testid=profile-row][data-mpid='{mine}']")).to_have_count(1)
    expect(observer.page.locator(f"[data-testid=profile-row][data-mpid='{mpid}']")).to_have_count(0)

    observer.open("/workspaces/kiosk")
    observer.press("workspace-remove")
    expect(observer.see("workspace-profiles")).to_have_text("1")
    observer.press("workspace-forget")
    expect(observer.see("notice")).to_contain_text("kiosk is forgotten")
    observer.open(f"/profiles/{mpid}?workspace=kiosk")
    expect(observer.see("error-page")).to_contain_text("no such workspace")
