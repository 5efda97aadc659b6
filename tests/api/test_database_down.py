"""The database server is gone: visitors get a page that says so, and the store goes on when it is back."""

from pathlib import Path

from tests.api.conftest import OpenStore
from tests.postgres import own_postgres


def test_pages_say_so_while_the_server_is_down_and_work_when_it_is_back(
    open_store: OpenStore, tmp_path: Path
) -> None:
    with own_postgres() as postgres:
        store = open_store(database_url=postgres.url, instance=tmp_path)
        visitor = store.browser()
        assert visitor.get("/about").status == 200

        postgres.stop_at_once()
        pages = [visitor.get(path) for path in ("/", "/cart", "/go/about?once=followed-once")]
        postgres.start()

        assert [page.status for page in pages] == [503, 503, 503]
        assert all(page.one("error-page")["data-status"] == "503" for page in pages)
        assert all(page.response.headers["Retry-After"] == "1" for page in pages)
        assert visitor.get("/about").status == 200
        store.parts.close()
