"""Workspaces of one browser."""

from collections.abc import Callable

import pytest
from chassis.db.database import Database
from console.models import WorkspaceSession

from tests.console.browser import Browser
from tests.console.guard.rows import count_of, csrf_token, open_at_once
from tests.console.provider import PASSWORD, Provider
from tests.console.system import Whole

pytestmark = pytest.mark.both_databases


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
    token = csrf_token(console)
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

    pages = open_at_once(
        console, [f"/at/{workspace}/customers" for workspace in [theirs.id, mine.id] * 4]
    )

    assert [page.status for page in pages] == [200] * 8
    assert [acme.id in page.html for page in pages] == [True, False] * 4
    assert count_of(store, WorkspaceSession) == 2


def test_addresses_without_a_page_lead_to_the_first_one(
    console: Browser, provider: Provider
) -> None:
    acme = provider.customer("Acme")
    provider.owner.sign_in(console)

    assert console.get(console.at("")).path == console.at("/home")
    assert console.get(console.at(f"/c/{acme.id}")).path == console.at(f"/c/{acme.id}/overview")
    page = console.get(console.at("/nowhere"))
    assert page.status == 404 and "Page not found" in page.headings
