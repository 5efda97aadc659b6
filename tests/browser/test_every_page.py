"""Every page in every state: accessible in both schemes, whole at any width."""

from collections.abc import Callable, Iterator
from typing import Final, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser import every_page
from tests.browser.conftest import NewShopper
from tests.browser.shopper import Shopper
from tests.browser.store_process import StoreProcess

SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
WIDTHS: Final = (320, 390, 1280)
AXE_WIDTHS: Final = (390, 1280)
HEIGHT: Final = 800
OVERFLOW: Final = """() => {
    const root = document.scrollingElement;
    const wide = [...document.body.querySelectorAll("*")].filter(
        (element) => element.getBoundingClientRect().right > innerWidth + 1);
    return root.scrollWidth > innerWidth ? wide.map((element) => element.outerHTML.slice(0, 90)) : [];
}"""
# What WCAG 2.2 (1.4.12) lets readers set; a system's wider font takes as much room.
SPACED_TEXT: Final = """(on) => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync("* { letter-spacing: .12em !important; word-spacing: .16em !important }");
    document.adoptedStyleSheets = on ? [sheet] : [];
}"""
RUN_AXE: Final = """async () => {
    const { violations } = await axe.run({ resultTypes: ["violations"] });
    return violations.flatMap((rule) =>
        rule.nodes.map((node) => `${rule.id}: ${node.html.slice(0, 160)} (${node.failureSummary})`));
}"""

Way = Callable[[Shopper], Iterator[str]]


@pytest.mark.parametrize("way", [every_page.shopping, every_page.account, every_page.errors])
def test_pages_are_accessible_and_fit(way: Way, new_shopper: NewShopper) -> None:
    shopper = new_shopper(reduced_motion="reduce")
    # The last of the errors is a name that this store is not served under.
    shopper.watch.own_hosts.add("stranger.localhost")
    assert faults_on(way(shopper), shopper.page) == {}


def test_observing_pages_are_accessible_and_fit(
    observed_store: StoreProcess, new_shopper: NewShopper
) -> None:
    shopper = new_shopper(observed_store.address, reduced_motion="reduce")
    assert faults_on(every_page.observing(shopper, observed_store), shopper.page) == {}


def faults_on(states: Iterator[str], page: Page) -> dict[str, list[str]]:
    """What is wrong, by state."""
    faults = {}
    for state in states:
        found = [*faults_of_width(page), *faults_of_access(page)]
        if found:
            faults[state] = found
    return faults


def faults_of_width(page: Page) -> list[str]:
    """What makes the page scroll sideways, with text as it comes and with text spaced out."""
    found = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        for is_spaced in (True, False):
            page.evaluate(SPACED_TEXT, is_spaced)
            words = f"{width}, spaced out" if is_spaced else f"{width}"
            found += [f"{words}: {element}" for element in page.evaluate(OVERFLOW)]
    return found


def faults_of_access(page: Page) -> list[str]:
    """What axe-core finds with all its rules, best practices included."""
    page.evaluate(Axe().axe_script)
    found = []
    for width in AXE_WIDTHS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            violations = page.evaluate(RUN_AXE)
            found += [f"{width} {scheme}: {violation}" for violation in violations]
    return found
