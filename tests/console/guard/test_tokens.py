"""Access tokens that the console renews."""

from collections.abc import Callable
from typing import Any

import pytest
from chassis.db.database import Database
from chassis.errors import Unavailable
from console.models import WorkspaceSession
from console.values.sealing import seal
from sqlalchemy import text, update

from tests.console.browser import Browser
from tests.console.guard.rows import count_of, let_tokens_expire, open_at_once, tokens_of
from tests.console.provider import Provider
from tests.console.system import Whole

pytestmark = pytest.mark.both_databases


def test_an_expired_access_token_is_renewed_once_by_concurrent_requests(
    console: Browser, provider: Provider, store: Database
) -> None:
    provider.owner.sign_in(console)
    before = tokens_of(store, console)
    for _ in range(2):
        let_tokens_expire(store)

        assert [page.status for page in open_at_once(console, [console.at("/customers")] * 6)] == [
            200
        ] * 6

    after = tokens_of(store, console)
    assert after["access"] != before["access"] and after["refresh"] != before["refresh"]


@pytest.mark.parametrize("tabs", [1, 3])
def test_a_lost_answer_to_a_renewal_does_not_sign_out(
    console: Browser,
    provider: Provider,
    store: Database,
    monkeypatch: pytest.MonkeyPatch,
    tabs: int,
) -> None:
    provider.owner.sign_in(console)
    let_tokens_expire(store)
    gateway = console.system.console.extensions["gateway"]
    send, lost = gateway.send, []

    def lose_the_first(method: str, path: str, headers: Any, body: bytes | None = None) -> Any:
        response = send(method, path, headers, body)
        if path == "/v1/sessions/refresh" and not lost:
            lost.append(response.status)
            raise Unavailable("The response was lost.", code="service_unavailable")
        return response

    monkeypatch.setattr(gateway, "send", lose_the_first)
    pages = open_at_once(console, [console.at("/customers")] * tabs)

    assert lost == [201] and [page.status for page in pages] == [200] * tabs


def test_a_refused_token_is_renewed_and_the_request_repeated(
    console: Browser, provider: Provider, store: Database
) -> None:
    acme = provider.customer("Acme", accept=False)
    provider.owner.sign_in(console)
    console.get(console.at(f"/c/{acme.id}/settings/suspend"))
    with store.transaction() as session:
        tokens = tokens_of(store, console) | {"access": "refused"}
        session.execute(
            update(WorkspaceSession).values(tokens=seal(console.cookies["clientele"], tokens))
        )

    console.submit({"reason": "unpaid"})

    assert acme.now["status"] == "suspended"
    assert [entry["action"] for entry in acme.staff("GET", "/audit")["data"]].count(
        "organization.suspended"
    ) == 1
    details = console.get(console.at(f"/c/{acme.id}/audit?action=organization.suspended")).html
    assert "<dt>IP address</dt><dd><code data-copy>127.0.0.1</code>" in details


def test_a_session_ended_by_the_api_signs_in_again(
    console: Browser, provider: Provider, store: Database
) -> None:
    provider.owner.sign_in(console)
    for session in provider.api("GET", "/v1/sessions")["data"]:
        if not session["current"]:
            provider.api("DELETE", f"/v1/sessions/{session['id']}")

    page = console.get(f"/at/{provider.id}/customers")

    assert page.path.startswith("/sign-in?next=") and page.status == 200
    assert "Your session ended" in page.text
    assert count_of(store, WorkspaceSession) == 0, "what is good for nothing is not kept"
    assert provider.owner.sign_in(console).status == 200


def test_an_idle_session_ends(console: Browser, provider: Provider, whole: Whole) -> None:
    provider.owner.sign_in(console)
    with whole.databases["membership"].transaction() as session:
        session.execute(
            text("UPDATE sessions SET idle_at = '2020-01-01 00:00:00' WHERE idle_at IS NOT NULL")
        )
    let_tokens_expire(whole.pages)

    page = console.get(f"/at/{provider.id}/customers")
    assert page.path.startswith("/sign-in?next=") and "because it expired" in page.text


def test_an_unavailable_api_signs_nobody_out(
    console: Browser,
    provider: Provider,
    store: Database,
    unavailable: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    provider.owner.sign_in(console)
    let_tokens_expire(store)
    unavailable()
    assert console.get(f"/at/{provider.id}/customers").status == 503

    monkeypatch.undo()
    monkeypatch.setitem(console.system.console.extensions, "database", store)

    assert console.get(f"/at/{provider.id}/customers").status == 200
