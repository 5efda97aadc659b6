"""What the first page costs on the wire, and where it comes from."""

from playwright.sync_api import Request

from tests.browser.conftest import NewShopper

MOST_BYTES = 200_000


def test_the_first_page_with_all_its_pictures_stays_below_200_kilobytes(
    new_shopper: NewShopper,
) -> None:
    shopper = new_shopper()
    finished: list[Request] = []

    def note(request: Request) -> None:
        # What the x-ray bar asks for while somebody looks is no part of the page.
        if request.resource_type != "fetch":
            finished.append(request)

    shopper.page.on("requestfinished", note)
    shopper.open("/")
    pictures = shopper.page.locator("img")
    for place in range(pictures.count()):
        # Those further down load when one comes near them.
        pictures.nth(place).evaluate("img => { img.loading = 'eager'; return img.decode(); }")

    sizes = {request.url: request.sizes() for request in finished}
    total = sum(size["responseBodySize"] + size["responseHeadersSize"] for size in sizes.values())
    assert len(sizes) > pictures.count()
    assert total <= MOST_BYTES, sorted(
        (size["responseBodySize"], url) for url, size in sizes.items()
    )
