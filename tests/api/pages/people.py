"""What other clients ask the identity service, and what the profiles' pages then tell."""

from collections.abc import Mapping
from typing import Any

from tests.api.browsing import Browser, Page
from tests.api.conftest import Store


def ask(store: Store, action: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """One identity call of some other client. Returns the answer."""
    page = store.browser().open(
        f"/identity/v1/{action}",
        method="POST",
        json={"environment": "development", **body},
        headers={"x-mp-key": "demo-web-key"},
    )
    assert page.status == 200, page.html
    answer: dict[str, Any] = page.response.get_json()
    return answer


def identify(store: Store, **identities: str) -> str:
    """An identify of some other client. Returns the MPID."""
    return str(ask(store, "identify", {"known_identities": identities})["mpid"])


def change(store: Store, of: str, name: str, old: str | None, new: str | None) -> None:
    """A modify of some other client."""
    changes = [{"identity_type": name, "old_value": old, "new_value": new}]
    ask(store, f"{of}/modify", {"identity_changes": changes})


def rows(page: Page) -> list[tuple[str, str]]:
    """Kind and MPID of who is listed, in order."""
    return [(row["data-kind"], row["data-mpid"]) for row in page.all("profile-row")]


def found(visitor: Browser, text: str) -> list[str]:
    """The MPIDs that a search finds, in order."""
    page = visitor.submit(visitor.get("/profiles"), "profile-find", q=text)
    assert page.status == 200
    return [number for _, number in rows(page)]


def counts(page: Page) -> dict[str, str]:
    """How many of each kind."""
    return {count["data-kind"]: count["data-count"] for count in page.all("profile-count")}


def history(page: Page) -> list[tuple[str, str]]:
    """Action and outcome of each decision, newest first."""
    return [
        (chapter["data-action"], chapter["data-outcome"]) for chapter in page.all("history-chapter")
    ]
