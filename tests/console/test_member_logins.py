"""What others do with the login of a member, on the member's page."""

from collections.abc import Callable

from tests.console.browser import Browser
from tests.console.provider import Provider
from tests.console.system import Whole


def test_ending_the_sessions_of_a_member(
    console: Browser, provider: Provider, whole: Whole, browser: Callable[[], Browser]
) -> None:
    acme, hers = provider.customer("Acme"), browser()
    ann, adam = acme.member("member", given="Ann"), acme.member("admin", given="Adam")
    pending = acme.member("member", accept=False)
    ann.sign_in(hers)
    adam.sign_in(console)
    at = console.at(f"/c/{acme.id}/members")

    for other in (adam.id, acme.owner.id, pending.id):
        assert "End sessions" not in console.get(f"{at}/{other}").links
    page = console.get(console.get(f"{at}/{ann.id}").links["End sessions"])
    assert page.headings[-1] == "End all sessions of Ann Tester?"
    page = console.submit()

    assert page.path == f"{at}/{ann.id}"
    assert page.banners[0] == "Ann Tester will be signed out within seconds."
    assert hers.get(hers.at("/me/sessions")).path.startswith("/sign-in")
    assert "Adam Tester ended all sessions" in whole.mail(ann.email)
