"""Screenshots of every page, in light and dark, at three widths: ``make screenshots``.

Uses a system of its own with demo data. Pages are found by following links, so new pages are
included automatically. Exits with 1 if a page is wider than the window or the browser reports an
error."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from devtools.demo import system
from devtools.servers import installation
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.sites import ADMIN, PASSWORD, Customer, Site

OUT = Path(__file__).parents[2] / "var" / "screenshots"
WIDTHS = (360, 1280, 1920)
HEIGHTS = {360: 740, 1280: 800, 1920: 1080}
_ID = re.compile(r"(?<=/)(?:[a-z]{3}_[A-Za-z0-9]+|[A-Za-z0-9_-]{30,})")
# What is no page, and what would end the walk.
_NOT_FOLLOWED = re.compile(r"\.csv|\.pdf|/pdf|/file|/static/|/stop$")
Stage = Callable[[Page], None]


@dataclass
class Album:
    """The screenshots. ``seen``: pages by their address without ids; ``troubles``: errors."""

    browser: Browser
    address: str
    only: str
    seen: set[str] = field(default_factory=set)
    troubles: list[str] = field(default_factory=list)

    @contextmanager
    def person(
        self, site: Site | None = None, email: str = "", password: str = ""
    ) -> Iterator["Walker"]:
        """A browser context, signed in if there is an email address."""
        context = self.browser.new_context(
            viewport={"width": 1280, "height": 800}, reduced_motion="reduce"
        )
        page = context.new_page()
        page.on("console", lambda message: self._on_console(page, message.type, message.text))
        page.on("pageerror", lambda error: self.troubles.append(f"{page.url}: {error}"))
        if site:
            page.goto(f"{self.address}/sign-in")
            page.get_by_label("Email address").fill(email)
            page.get_by_label("Password").fill(password)
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url("**/at/**")
        yield Walker(self, context, page, urlsplit(page.url).path.split("/")[2] if site else "")
        context.close()

    def _on_console(self, page: Page, kind: str, text: str) -> None:
        if kind == "error" and "status of 4" not in text and "status of 503" not in text:
            self.troubles.append(f"{page.url}: {text}")


@dataclass
class Walker:
    """A user who goes from page to page and takes screenshots."""

    album: Album
    context: BrowserContext
    page: Page
    workspace: str

    def take(self, name: str, path: str = "", stage: Stage | None = None) -> None:
        """One page, or the state that ``stage`` creates, six times."""
        if self.album.only and not re.search(self.album.only, name):
            return
        for width in WIDTHS:
            self.page.set_viewport_size({"width": width, "height": HEIGHTS[width]})
            if path:
                self.page.goto(self.album.address + path, wait_until="load")
            if stage:
                stage(self.page)
            wide = self.page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            if wide > 0:
                self.album.troubles.append(f"{name} is {wide} px wider than a window of {width}")
            for look in ("light", "dark"):
                self.page.emulate_media(color_scheme=look)
                self.page.screenshot(path=OUT / f"{name}-{width}-{look}.png", full_page=not stage)
        sys.stdout.write(f"{name}\n")

    def walk(self, who: str, start: str, within: str) -> None:
        """Every page that can be reached by links ``within`` a path, each kind of page once."""
        waiting = [start]
        while waiting:
            path = waiting.pop(0)
            kind = _ID.sub("_", path.removeprefix(f"/at/{self.workspace}").partition("?")[0])
            if f"{who}{kind}" in self.album.seen:
                continue
            self.album.seen.add(f"{who}{kind}")
            self.page.goto(self.album.address + path)
            links = self.page.locator("main a[href], .menu a[href]").evaluate_all(
                "all => all.map(a => a.href)"
            )
            paths = [self._ours(link) for link in links]
            waiting += [target for target in paths if target and target.startswith(within)]
            self.take(
                f"{who}{kind.replace('/c/_', '').replace('/', '-').replace('_', 'one')}", path
            )

    def _ours(self, link: str) -> str:
        at = urlsplit(link)
        mine = self.album.address.endswith(at.netloc) and not _NOT_FOLLOWED.search(at.path)
        return f"{at.path}?{at.query}".rstrip("?") if mine else ""


def main() -> int:
    """Take all screenshots, or those whose name matches the first argument."""
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    if not only:
        shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True, exist_ok=True)
    with system.embedded() as running, sync_playwright() as play:
        _load_demo(running)
        assert running.mails
        site = Site("screenshots", running.base_url, running.password, running.mails)
        browser = play.chromium.launch(
            executable_path=installation.chromium(),
            args=["--no-sandbox"] if os.geteuid() == 0 else [],
        )
        album = Album(browser, running.base_url, only)
        people = _people(site)
        _outside(album, site, people["prepaid"])
        _staff(album, site, people)
        _owner(album, site, people["prepaid"])
        browser.close()
    for trouble in dict.fromkeys(album.troubles):
        sys.stdout.write(f"LOOK: {trouble}\n")
    sys.stdout.write(f"{len(list(OUT.glob('*.png')))} pictures in {OUT}\n")
    return 1 if album.troubles else 0


def _load_demo(running: system.System) -> None:
    """Create the demo data."""
    subprocess.run(
        [sys.executable, "-m", "devtools", "demo", "--base-url", running.base_url],
        check=True,
        capture_output=True,
        env={
            **os.environ,
            "CLIENTELE_ADMIN_EMAIL": running.email,
            "CLIENTELE_ADMIN_PASSWORD": running.password,
            "MAIL_DIR": str(running.mails),
        },
    )


def _people(site: Site) -> dict[str, Customer]:
    """Customers with some data."""
    prepaid = site.open(name="Kampong Glam Voice & Data (Pte.) Ltd.")
    prepaid.top_up("480.00")
    for amount in ("12.40", "64.90", "3.15", "120.00"):
        prepaid.charge(amount)
    prepaid.post("/account/reservations", {"amount": "25.00", "description": "Call to Jakarta"})
    site.join(prepaid.owner)
    prepaid.member()
    prepaid.member(
        verified=False, given_name="Bartholomew", family_name="Featherstonehaugh-Cholmondeley"
    )
    prepaid.post("/members", {"name": "Lobby telephone", "portal_access": False})
    postpaid = site.open(
        name="Straits Harbour Logistics", payment_mode="postpaid", credit_limit="500.00"
    )
    for amount in ("210.00", "75.50"):
        postpaid.charge(amount)
    postpaid.post("/invoices")
    postpaid.charge("388.20")
    leaving = site.open(
        name="A customer with a name that is as long as names of organizations get to be when "
        "people write down everything they are and own (Singapore) & Sons"
    )
    gone = site.staff.call(
        "DELETE", leaving.path, {"reason": "They have moved to another provider."}, wait=10
    )
    assert gone.status in (200, 202), gone
    return {"prepaid": prepaid, "postpaid": postpaid, "leaving": leaving}


def _outside(album: Album, site: Site, customer: Customer) -> None:
    with album.person() as nobody:
        nobody.take("outside-sign-in", "/sign-in")
        nobody.take("outside-sign-in-refused", "/sign-in", _refused_sign_in)
        nobody.take("outside-signed-out", "/signed-out")
        nobody.take("outside-reset", "/reset")
        nobody.take("outside-help", "/help")
        nobody.take("outside-404", "/nothing/here")
        nobody.take("outside-link", site.link("grace", "verify"))
        nobody.take("outside-link-used", site.link(customer.owner))


def _staff(album: Album, site: Site, people: dict[str, Customer]) -> None:
    with album.person(site, ADMIN, site.password) as staff:
        at = f"/at/{staff.workspace}"
        for start in (
            "/home",
            "/customers",
            "/me/security",
            "/provider/settings",
            "/provider/wallet",
        ):
            staff.walk("staff", at + start, f"{at}{start.partition('/provider')[0] or '/provider'}")
        staff.walk("staff", f"{at}/c/{site.provider}/members", f"{at}/c/{site.provider}")
        for kind, customer in people.items():
            staff.walk(kind, f"{at}/c/{customer.id}/overview", f"{at}/c/{customer.id}")
        staff.take("staff-customers-no-match", f"{at}/customers?q=zzzz")
        staff.take("staff-404", f"{at}/c/org_nobody/overview")
        staff.take(
            "staff-view-menu",
            f"{at}/customers",
            lambda page: page.locator(".act summary").nth(1).click(),
        )
        staff.take(
            "staff-me-menu", f"{at}/customers", lambda page: page.locator(".me summary").click()
        )
        staff.take("staff-palette", f"{at}/customers", _palette)
        customer = f"{at}/c/{people['prepaid'].id}"
        staff.take(
            "prepaid-suspend-dialog", f"{customer}/overview", lambda page: _dialog(page, "Suspend")
        )
        staff.take("prepaid-top-up-refused", f"{customer}/payment/top-up", _send)
        staff.take("prepaid-top-up-confirm", f"{customer}/payment/top-up", _top_up)
        staff.take(
            "prepaid-payment-more",
            f"{customer}/payment",
            lambda page: page.locator(".actions summary").click(),
        )
        _support_session(staff, f"{customer}/members")


def _support_session(staff: Walker, members: str) -> None:
    """The pages of a support session."""
    staff.page.goto(f"{staff.album.address}{members}?status=active&role=admin")
    staff.page.locator("[data-row] th a").first.click()
    staff.page.get_by_role("link", name="Log in as").click()
    staff.page.get_by_label("Reason").fill("Ticket 4711: cannot find the last invoice")
    staff.page.get_by_role("button", name="Log in as").click()
    staff.page.wait_for_url("**/at/ses_**")
    staff.take("acting", urlsplit(staff.page.url).path)
    staff.page.get_by_role("button", name="End session").click()


def _owner(album: Album, site: Site, customer: Customer) -> None:
    with album.person(site, customer.owner, PASSWORD) as owner:
        owner.walk(
            "owner", f"/at/{owner.workspace}/c/{customer.id}/overview", f"/at/{owner.workspace}/"
        )


def _refused_sign_in(page: Page) -> None:
    page.get_by_label("Email address").fill("somebody@example.com")
    page.get_by_label("Password").fill("not it")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_load_state()


def _palette(page: Page) -> None:
    page.keyboard.press("Control+k")
    page.locator("dialog input").fill("straits")
    page.locator("dialog li .small", has_text="Customer").first.wait_for()


def _dialog(page: Page, name: str) -> None:
    page.get_by_role("link", name=name, exact=True).first.click()
    page.locator("dialog h2").wait_for()


def _top_up(page: Page) -> None:
    """Fill in the form, up to the page that is to be confirmed."""
    page.get_by_label("Amount").fill("1,250.50")
    page.get_by_label("Method").select_option("bank_transfer")
    page.get_by_role("button", name="Top up").click()
    page.get_by_role("heading", name="Confirm").wait_for()


def _send(page: Page) -> None:
    page.locator("main form[method=post] button").last.click()
    page.wait_for_load_state()


if __name__ == "__main__":
    sys.exit(main())
