"""The audit log, as its pages show it."""

from tests.console.access.conftest import log_in_as
from tests.console.browser import Browser
from tests.console.provider import PASSWORD, Customer, Person


def test_the_audit_log_has_readable_labels(console: Browser, acme: Customer, sven: Person) -> None:
    sven.sign_in(console)
    own = console.workspace
    log_in_as(console, acme, reason="=HYPERLINK(1)")
    console.submit(action=f"/at/{console.workspace}/acting/stop")
    page = console.get(f"/at/{own}/c/{acme.id}/audit?actor_kind=support")
    text = " ".join(page.text.split())
    assert "Login As session started" in text and "Manager Tester logged in as Olga Owner" in text
    assert "=HYPERLINK(1)" in text and "Acting session" in text
    lines = console.send("GET", f"/at/{own}/c/{acme.id}/audit.csv?actor_kind=support")
    assert (
        lines.headers["Content-Type"].startswith("text/csv")
        and "attachment" in lines.headers["Content-Disposition"]
    )
    assert "'=HYPERLINK(1)" in lines.html and ",=HYPERLINK" not in lines.html
    assert len(lines.html.splitlines()) == 3 and "account.topped_up" not in lines.html


def test_audit_log_filters(console: Browser, acme: Customer) -> None:
    acme.provider.owner.sign_in(console)
    at = console.at(f"/c/{acme.id}/audit")
    rows = console.get(f"{at}?action=account.topped_up").rows
    assert len(rows) == 1 and "Account topped up" in rows[0][1] and "100.00" in rows[0][5]
    assert "No entries match" in console.get(f"{at}?action=nothing.like_it").text
    assert "No entries match" in console.get(f"{at}?to=2020-01-01").text
    assert console.get(f"{at}?from=2020-01-01").rows
    page = console.get(f"{at}?from=yesterday")
    assert page.status == 422 and page.error("from") and page.title.startswith("Error")
    assert console.get(f"{at}?outcome=perhaps").status == 422
    assert console.get(f"/at/{console.workspace}/c/{console.workspace}/audit").status == 200, (
        "the provider's own"
    )
    assert "Account topped up" in console.get(console.at(f"/c/{acme.id}/timeline")).text


def test_denied_actions_are_marked(console: Browser, acme: Customer) -> None:
    viewer = acme.provider.staff("viewer")
    token = console.system.call(
        "POST", "/v1/sessions", {"email": viewer.email, "password": PASSWORD}
    ).json
    response = console.system.call(
        "POST", f"/v1/organizations/{acme.id}/suspend", {"reason": "x"}, token=token["access_token"]
    )
    assert response.status_code == 403
    acme.provider.owner.sign_in(console)
    page = console.get(console.at(f"/c/{acme.id}/audit?outcome=denied"))
    assert len(page.rows) == 1 and "Denied" in page.rows[0][1]

    body = {"name": "a program", "scopes": ["org:read"]}
    assert (
        console.system.call("POST", "/v1/api-keys", body, token=token["access_token"]).status_code
        == 403
    )
    page = console.get(console.at(f"/c/{console.workspace}/audit?outcome=denied&endpoint=x"))
    assert page.status == 200 and "Denied" in page.rows[0][1], (
        "what was refused was done to nothing"
    )
