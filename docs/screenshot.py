"""Takes the README's picture again: `make screenshot`.

A fresh store, a visitor who has signed up and bought something, and the x-ray bar open.
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.store_process import StoreProcess
from tests.install_browser import install_browser

PICTURE = Path(__file__).parent / "images" / "x-ray.png"


def take(file: Path) -> None:
    """Start a store, go shopping in it, and take the picture."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        store = StoreProcess(Path(folder))
        store.start()
        browser = playwright.chromium.launch(
            executable_path=install_browser(), args=["--no-sandbox"]
        )
        try:
            page = browser.new_page(
                viewport={"width": 1280, "height": 860}, base_url=store.address, color_scheme="dark"
            )
            shop(page)
            page.screenshot(path=file)
        finally:
            browser.close()
            store.stop()


def shop(page: Page) -> None:
    """From the front page to one's own account, with something in the cart."""
    page.goto("/")
    page.get_by_test_id("landing-button").click()
    page.get_by_test_id("product-card").nth(1).get_by_role("link").click()
    page.get_by_test_id("add-to-cart").click()
    page.goto("/account/sign-up")
    page.get_by_test_id("signup-name").fill("Zoe Quark")
    page.get_by_test_id("signup-email").fill("zoe.quark@example.com")
    page.get_by_test_id("sign-up").click()
    expect(page.get_by_test_id("identity-state")).to_have_text("known")
    page.goto("/cart")
    page.get_by_test_id("x-ray").locator("summary").first.click()
    expect(page.get_by_test_id("x-ray-event").first).to_have_attribute("data-delivery", "delivered")


if __name__ == "__main__":
    take(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE)
