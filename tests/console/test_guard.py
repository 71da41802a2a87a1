"""Cookies, forged forms, encrypted tokens, workspaces; on both databases."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from chassis.db import migrations
from chassis.db.database import Database
from chassis.errors import Unavailable
from chassis.runtime import clock
from console import actions
from console.app import MIGRATIONS, create_app
from console.models import Browser as BrowserRow
from console.models import Draft, WorkspaceSession
from console.values.sealing import opens, seal, unseal
from gateway.app import close_app
from gateway.app import create_app as create_gateway
from gateway.clients import InProcess
from joserfc import jwe
from joserfc.jwk import OctKey
from sqlalchemy import func, select, text, update

from tests.console.browser import Browser, Page
from tests.console.provider import PASSWORD, Provider
from tests.console.system import Whole
from tests.databases import ENGINES, PreparedDatabases, Schema, migrated

pytestmark = pytest.mark.both_databases

SCHEMA = Schema("console", lambda url: migrations.upgrade(MIGRATIONS, url, shared=False))


@pytest.fixture(scope="module")
def prepared_databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PreparedDatabases]:
    made = PreparedDatabases(tmp_path_factory.mktemp("prepared"))
    yield made
    made.close()


@pytest.fixture(params=ENGINES)
def store(
    request: pytest.FixtureRequest,
    whole: Whole,
    prepared_databases: PreparedDatabases,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Database]:
    """The console's database, empty, on either engine."""
    postgres: Callable[[], Any] = lambda: request.getfixturevalue("postgres")
    with migrated(
        SCHEMA,
        request.param,
        prepared_databases=prepared_databases,
        folder=tmp_path,
        postgres=postgres,
        pool_size=30,
    ) as database:
        monkeypatch.setitem(whole.console.extensions, "database", database)
        yield database


@pytest.fixture(scope="module")
def by_https(whole: Whole) -> Iterator[Browser]:
    """A browser that uses https."""
    settings = dataclasses.replace(whole.settings["console"], public_url="https://app.example")
    gateway = create_gateway(whole.settings["gateway"], whole._wires)
    console = create_app(settings, whole.pages, InProcess(gateway))
    yield Browser(whole, "https://app.example", whole.dispatcher(gateway, console))
    close_app(gateway)


# --- cookies


def test_the_cookie_is_protected_from_scripts_and_plain_http(
    by_https: Browser, provider: Provider
) -> None:
    page = by_https.sign_in(provider.email, PASSWORD, follow=False)
    cookie, browser = page.headers.getlist("Set-Cookie")
    flags = {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"}

    name, *given = cookie.split("; ")
    assert name.startswith("__Host-clientele=") and len(name.partition("=")[2]) == 43
    assert set(given) == flags
    name, *given = browser.split("; ")
    assert name.startswith("__Host-clientele-browser=") and len(name.partition("=")[2]) == 43
    assert flags | {"Max-Age=2592000"} <= set(given)
    assert by_https.follow().status == 200
    assert by_https.page.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_all_cookies_are_protected(by_https: Browser, provider: Provider) -> None:
    by_https.sign_in(provider.email, PASSWORD)
    by_https.get(by_https.at("/me/sessions"))
    ended = by_https.submit(action=by_https.at("/me/sessions/end-others"), follow=False)
    seen = [*ended.headers.getlist("Set-Cookie"), *by_https.follow().headers.getlist("Set-Cookie")]
    by_https.get(by_https.at("/me/sessions"))
    seen += by_https.send("POST", "/sign-out", {"csrf": _token(by_https)}).headers.getlist(
        "Set-Cookie"
    )

    assert [cookie.partition("=")[0] for cookie in seen] == ["__Host-clientele-said"] * 2 + [
        "__Host-clientele"
    ]
    assert all(
        {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
        for cookie in seen
    )


def test_the_cookie_on_localhost(console: Browser, provider: Provider) -> None:
    page = console.sign_in(provider.email, PASSWORD, follow=False)
    cookie, browser = page.headers.getlist("Set-Cookie")

    assert browser.startswith("clientele-browser=") and "Secure" not in browser
    assert set(cookie.split("; ")[1:]) == {"HttpOnly", "Path=/", "SameSite=Lax"}
    assert "Strict-Transport-Security" not in console.page.headers


def test_a_planted_cookie_is_replaced_at_sign_in(
    browser: Callable[[], Browser], provider: Provider, store: Database
) -> None:
    victim, thief = browser(), browser()
    for one in (victim, thief):
        one.client.set_cookie(
            "clientele", "planted-by-somebody-else-43-characters-long", domain="127.0.0.1"
        )

    provider.owner.sign_in(victim)

    assert victim.cookies["clientele"] != "planted-by-somebody-else-43-characters-long"
    assert thief.get(f"/at/{provider.id}/customers").path.startswith("/sign-in")


def test_signing_in_again_invalidates_the_previous_cookie(
    browser: Callable[[], Browser], provider: Provider, store: Database
) -> None:
    victim, thief = browser(), browser()
    provider.owner.sign_in(victim)
    thief.client.set_cookie("clientele", victim.cookies["clientele"], domain="127.0.0.1")
    assert thief.get(f"/at/{provider.id}/customers").status == 200

    provider.owner.sign_in(victim)

    assert thief.get(f"/at/{provider.id}/customers").path.startswith("/sign-in")
    assert _count(store, BrowserRow) == 1, "rows do not pile up"
    victim.get(f"/at/{provider.id}/customers")
    victim.sign_out()
    assert [_count(store, table) for table in (BrowserRow, WorkspaceSession, Draft)] == [0, 0, 0]


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        "x",
        "a" * 6000,
        "\u00c3\u00bc",
        "%00",
        "'; DROP TABLE browsers",
        '"',
        "\xff\xfe",
        "\xed\xa0\x80",
        "x; clientele=y; clientele",
        "=",
        "\x01",
    ],
)
def test_a_malformed_cookie_is_ignored(console: Browser, cookie: str) -> None:
    odd = {"Cookie": f"clientele={cookie}; clientele-said={cookie}"}

    page = console.send("GET", "/at/org_x/customers", headers=odd)

    assert (page.status, page.location.partition("?")[0]) == (303, "/sign-in")


# --- what is kept


def test_a_stolen_database_is_of_no_use(
    console: Browser, provider: Provider, store: Database
) -> None:
    acme = provider.customer("Acme", accept=False)
    provider.owner.sign_in(console)
    _draft(console, acme.id, "typed in confidence")
    tokens = unseal(console.cookies["clientele"], _one(store, WorkspaceSession).tokens)
    everything = _everything(store)

    assert {"access", "refresh"} == tokens.keys() and all(tokens.values())
    for secret in (*tokens.values(), console.cookies["clientele"], PASSWORD, "typed in confidence"):
        assert secret not in everything
    for kept in (_one(store, BrowserRow).secret_hash.hex(), _one(store, BrowserRow).id, ""):
        assert opens(kept, _one(store, WorkspaceSession).tokens) is None


def test_a_cookie_decrypts_values_encrypted_as_jwe() -> None:
    key = OctKey.import_key(sha256(b"clientele console seal\0one").digest())
    stored = jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, b'{"a": 1}', key)

    assert unseal("one", stored) == {"a": 1}
    assert opens("other", stored) is None
    assert opens("one", "a.b.c.d.e") is None


def test_a_cookie_decrypts_only_unchanged_values_of_its_own() -> None:
    sealed = seal("one", {"a": 1})

    assert unseal("one", sealed) == {"a": 1} and seal("one", {"a": 1}) != sealed
    assert opens("other", sealed) is None
    for at in (1, len(sealed) // 2, len(sealed) - 2):
        assert (
            opens("one", sealed[:at] + ("A" if sealed[at] != "A" else "B") + sealed[at + 1 :])
            is None
        )


def test_drafts_belong_to_one_browser(
    browser: Callable[[], Browser], provider: Provider, store: Database
) -> None:
    acme, one, other = provider.customer("Acme", accept=False), browser(), browser()
    provider.owner.sign_in(one)
    provider.owner.sign_in(other)
    kept = _draft(one, acme.id, "for my eyes only")

    assert one.get(kept).forms[-1].fields["reason"] == "for my eyes only"
    assert other.get(kept).forms[-1].fields["reason"] == ""
    for forged in ("x", "evt_x", "org_01m83g4jphe13971spbmh1ymjk", "'", "%00"):
        assert one.get(f"{kept.partition('=')[0]}={forged}").status == 200


def test_the_number_of_drafts_is_limited(
    console: Browser, provider: Provider, store: Database
) -> None:
    acme = provider.customer("Acme", accept=False)
    provider.owner.sign_in(console)

    kept = [_draft(console, acme.id, f"the {n}th") for n in range(23)]

    assert _count(store, Draft) == 20
    assert console.get(kept[-1]).forms[-1].fields["reason"] == "the 22th"
    assert console.get(kept[0]).forms[-1].fields["reason"] == ""


def test_the_number_of_a_persons_browser_sessions_is_limited(
    browser: Callable[[], Browser],
    provider: Provider,
    store: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(actions, "MAX_BROWSERS", 2)
    first, second, third, other = browser(), browser(), browser(), browser()
    acme = provider.customer("Acme")
    acme.owner.sign_in(other)
    for each in (first, second, third):
        provider.owner.sign_in(each)

    pages = [each.get(each.at("/customers")).path for each in (second, third)]

    assert not [path for path in pages if path.startswith("/sign-in")]
    assert first.get(f"/at/{provider.id}/customers").path.startswith("/sign-in")
    assert other.get(other.at(f"/c/{acme.id}/overview")).status == 200, "another person's"
    assert _count(store, BrowserRow) == 3


def test_expired_sessions_and_drafts_are_deleted(
    browser: Callable[[], Browser], provider: Provider, store: Database
) -> None:
    old, new = browser(), browser()
    provider.owner.sign_in(old)
    with store.transaction() as session:
        yesterday = clock.now() - timedelta(hours=24, minutes=1)
        session.execute(update(BrowserRow).values(started_at=yesterday, used_at=yesterday))

    assert old.get(f"/at/{provider.id}/customers").path.startswith("/sign-in")
    provider.owner.sign_in(new)

    assert _count(store, BrowserRow) == _count(store, WorkspaceSession) == 1


# --- tokens


def test_an_expired_access_token_is_renewed_once_by_concurrent_requests(
    console: Browser, provider: Provider, store: Database
) -> None:
    provider.owner.sign_in(console)
    before = _tokens(store, console)
    for _ in range(2):
        _age(store)

        assert [page.status for page in _at_once(console, [console.at("/customers")] * 6)] == [
            200
        ] * 6

    after = _tokens(store, console)
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
    _age(store)
    gateway = console.system.console.extensions["gateway"]
    send, lost = gateway.send, []

    def lose_the_first(method: str, path: str, headers: Any, body: bytes | None = None) -> Any:
        response = send(method, path, headers, body)
        if path == "/v1/sessions/refresh" and not lost:
            lost.append(response.status)
            raise Unavailable("The response was lost.", code="service_unavailable")
        return response

    monkeypatch.setattr(gateway, "send", lose_the_first)
    pages = _at_once(console, [console.at("/customers")] * tabs)

    assert lost == [201] and [page.status for page in pages] == [200] * tabs


def test_a_refused_token_is_renewed_and_the_request_repeated(
    console: Browser, provider: Provider, store: Database
) -> None:
    acme = provider.customer("Acme", accept=False)
    provider.owner.sign_in(console)
    console.get(console.at(f"/c/{acme.id}/settings/suspend"))
    with store.transaction() as session:
        tokens = _tokens(store, console) | {"access": "refused"}
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
    assert _count(store, WorkspaceSession) == 0, "what is good for nothing is not kept"
    assert provider.owner.sign_in(console).status == 200


def test_an_idle_session_ends(console: Browser, provider: Provider, whole: Whole) -> None:
    provider.owner.sign_in(console)
    with whole.databases["membership"].transaction() as session:
        session.execute(
            text("UPDATE sessions SET idle_at = '2020-01-01 00:00:00' WHERE idle_at IS NOT NULL")
        )
    _age(whole.pages)

    assert console.get(f"/at/{provider.id}/customers").path.startswith("/sign-in?next=")


def test_an_unavailable_api_signs_nobody_out(
    console: Browser,
    provider: Provider,
    store: Database,
    unavailable: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    provider.owner.sign_in(console)
    _age(store)
    unavailable()
    assert console.get(f"/at/{provider.id}/customers").status == 503

    monkeypatch.undo()
    monkeypatch.setitem(console.system.console.extensions, "database", store)

    assert console.get(f"/at/{provider.id}/customers").status == 200


# --- workspaces


def test_a_workspace_belongs_to_one_browser(
    browser: Callable[[], Browser], whole: Whole, store: Database
) -> None:
    mine, theirs = Provider(whole), Provider(whole)
    acme, console = theirs.customer("zzAcmezz"), browser()
    mine.owner.sign_in(console)

    for workspace in (
        theirs.id,
        acme.id,
        "org_01m83g4jphe13971spbmh1ymjk",
        "org_x",
        "ses_x",
        "x",
        "ses_" + "z" * 26,
    ):
        for path in ("customers", f"c/{acme.id}/overview", "home"):
            page = console.get(f"/at/{workspace}/{path}")
            assert page.path.startswith("/sign-in") or page.status in (404, 410), page.path
            assert "zzAcmezz" not in page.html and theirs.word not in page.html
    for path in (
        "overview",
        "payment",
        "members",
        "audit",
        "settings",
        "settings/suspend",
        "delete",
        "audit.csv",
    ):
        page = console.get(f"/at/{mine.id}/c/{acme.id}/{path}")
        assert page.status == 404 and "zzAcmezz" not in page.html, path
    assert acme.now["status"] == "active"


def test_another_users_workspace_is_not_found(browser: Callable[[], Browser], whole: Whole) -> None:
    mine, theirs, console = Provider(whole), Provider(whole), browser()
    mine.owner.sign_in(console)

    assert console.get(f"/at/{theirs.id}/customers").status == 404
    assert console.get(f"/at/{mine.id}/customers").status == 200


def test_a_session_that_ended_before_re_authentication_signs_in_again(
    console: Browser, provider: Provider, store: Database
) -> None:
    provider.owner.sign_in(console)
    token = _token(console)
    for session in provider.api("GET", "/v1/sessions")["data"]:
        if not session["current"]:
            provider.api("DELETE", f"/v1/sessions/{session['id']}")

    page = console.send(
        "POST", console.at("/me/security/codes/off"), {"csrf": token, "proof_password": PASSWORD}
    )

    assert (page.status, page.headings[-1]) == (401, "Sign in")


def test_a_single_button_returns_to_its_page_with_https_too(
    by_https: Browser, provider: Provider
) -> None:
    by_https.sign_in(provider.email, PASSWORD)
    at = by_https.at("/me/sessions")

    page = by_https.send(
        "POST",
        f"{at}/x/end",
        {"csrf": "old", "reason": "kept"},
        {"Referer": f"https://app.example{at}?x=1"},
    )

    assert page.location.startswith(f"{at}?draft=")


def test_two_tabs_stay_in_their_organizations(
    console: Browser, whole: Whole, store: Database
) -> None:
    mine, theirs = Provider(whole), Provider(whole)
    acme = theirs.customer("zzAcmezz", accept=False)
    bodies = {
        "given_name": "Bo",
        "family_name": "Boss",
        "email": mine.email,
        "portal_access": True,
        "role": "admin",
    }
    theirs.api("POST", f"/v1/organizations/{theirs.id}/members", bodies)
    whole.call("POST", f"/v1/verifications/{whole.link(mine.email).rpartition('/')[2]}", {})
    console.sign_in(mine.email, PASSWORD)

    pages = _at_once(
        console, [f"/at/{workspace}/customers" for workspace in [theirs.id, mine.id] * 4]
    )

    assert [page.status for page in pages] == [200] * 8
    assert [acme.id in page.html for page in pages] == [True, False] * 4
    assert _count(store, WorkspaceSession) == 2


def _count(store: Database, table: type) -> int:
    with store.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def _at_once(console: Browser, paths: list[str]) -> list[Page]:
    """Open these in several tabs of the same browser."""
    cookie = {"Cookie": f"clientele={console.cookies['clientele']}"}
    with ThreadPoolExecutor(len(paths)) as pool:
        return list(
            pool.map(lambda path: Browser(console.system).send("GET", path, headers=cookie), paths)
        )


def _one(store: Database, table: type[Any]) -> Any:
    with store.reading() as session:
        return session.scalars(select(table)).one()


def _tokens(store: Database, console: Browser) -> dict[str, str]:
    return dict(unseal(console.cookies["clientele"], _one(store, WorkspaceSession).tokens))


def _age(store: Database) -> None:
    """Let five minutes pass."""
    with store.transaction() as session:
        session.execute(update(WorkspaceSession).values(until=clock.now() - timedelta(seconds=1)))


def _everything(store: Database) -> str:
    with store.reading() as session:
        return json.dumps(
            [
                list(map(repr, session.execute(text(f"SELECT * FROM {name}")).all()))
                for name in ("browsers", "seats", "drafts")
            ]
        )


def _token(console: Browser) -> str:
    return next(form.fields["csrf"] for form in console.page.forms if "csrf" in form.names)


def _draft(console: Browser, org: str, reason: str) -> str:
    """Send a form with a stale token; the address under which it is kept."""
    page = console.send(
        "POST",
        f"/at/{console.workspace or console.page.path.split('/')[2]}/c/{org}/settings/suspend",
        {"csrf": "stale", "reason": reason},
    )
    assert page.status == 303, page.text
    return page.location
