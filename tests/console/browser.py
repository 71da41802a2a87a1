"""A browser without a screen and without JavaScript: it keeps cookies, follows redirects, fills in
forms."""

import html
import ipaddress
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urljoin, urlsplit
from wsgiref.types import WSGIApplication

from werkzeug.test import Client, TestResponse

from tests.console import dom
from tests.console.system import Whole

ORIGIN = "http://127.0.0.1:8080"
_ADDRESSES = itertools.count(int(ipaddress.ip_address("10.0.0.1")))


@dataclass(frozen=True)
class Page:
    """A response, as the user sees it."""

    path: str
    response: TestResponse

    def __deepcopy__(self, _known: dict[int, Any]) -> "Page":
        return self  # nothing changes it

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def headers(self) -> Any:
        return self.response.headers

    @property
    def location(self) -> str:
        """The redirect target; empty if there is none."""
        return str(self.headers.get("Location", ""))

    @cached_property
    def html(self) -> str:
        return self.response.get_data(as_text=True)

    @cached_property
    def top(self) -> dom.Element:
        """The document: ``page.top.find("table", class_="data")``."""
        return dom.parse(self.html)

    @property
    def text(self) -> str:
        """All text, except scripts."""
        return self.top.text

    @property
    def title(self) -> str:
        return self.top.find("title")[0].text

    @property
    def headings(self) -> list[str]:
        return [one.text for one in self.top.find("h1", "h2", "h3")]

    @property
    def links(self) -> dict[str, str]:
        """Link text -> address; of several with the same text, the first."""
        return {
            one.text: html.unescape(one.attrs["href"])
            for one in reversed(self.top.find("a"))
            if "href" in one.attrs
        }

    @property
    def forms(self) -> list[dom.Form]:
        """Its forms: ``method``, ``action``, ``fields``, ``names``, ``buttons``,
        ``options(name)``."""
        return dom.forms(self.top, lambda action: urlsplit(urljoin(self.path, action)).path)

    @property
    def buttons(self) -> list[str]:
        """The labels of all buttons."""
        return [one.text for one in self.top.find("button")]

    @property
    def banners(self) -> list[str]:
        """The texts of the banners."""
        return [one.text for one in self.top.find(class_="banner")]

    @property
    def rows(self) -> list[list[str]]:
        """The cells of every row of every table body."""
        return [
            [cell.text for cell in row.find("td", "th")]
            for body in self.top.find("tbody")
            for row in body.find("tr")
        ]

    @property
    def facts(self) -> dict[str, str]:
        """The description lists: term -> description."""
        facts = {}
        for one in self.top.find("dl"):
            facts |= dict(
                zip(
                    (t.text for t in one.find("dt")), (d.text for d in one.find("dd")), strict=False
                )
            )
        return facts

    def error(self, name: str) -> str:
        """A field's error; empty if it has no error."""
        errors = self.top.find(id=f"field-{name}-wrong")
        return errors[0].text if errors else ""


class Browser:
    """One browser. ``page``: the page it shows; ``workspace``: the workspace in its address."""

    def __init__(
        self, system: Whole, origin: str = ORIGIN, app: WSGIApplication | None = None
    ) -> None:
        self.system, self.origin = system, origin
        self.address = str(ipaddress.ip_address(next(_ADDRESSES)))
        self._is_own = app is not None
        self.client = Client(app or system.front)
        self._without = Client(app or system.front, use_cookies=False)
        self.page: Page

    @property
    def workspace(self) -> str:
        """The workspace in the address of the page shown."""
        parts = self.page.path.split("/")
        return parts[2] if parts[1:2] == ["at"] else ""

    @property
    def cookies(self) -> dict[str, str]:
        """Our cookies."""
        return {one.key: one.value for one in self.client._cookies.values()}

    def at(self, path: str) -> str:
        """A path below the workspace: ``console.at("/customers")``."""
        return f"/at/{self.workspace}{path}"

    def send(
        self,
        method: str,
        path: str,
        fields: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Page:
        """One request as it is given here, nothing added but what every browser adds; with a Cookie
        among the headers, that one instead of its own. Goes nowhere from there."""
        own = {
            "X-Forwarded-For": self.address,
            "Sec-Fetch-Site": "same-origin" if method != "GET" else "none",
            "User-Agent": "Test/1.0",
        }
        if method not in ("GET", "HEAD"):
            own["Origin"] = self.origin
        own |= headers or {}
        self.system.settle()
        with self.system.working():
            client = self._without if "Cookie" in own else self.client
            response = client.open(
                path,
                method=method,
                base_url=self.origin,
                data=None if fields is None else dict(fields),
                headers={name: value for name, value in own.items() if value},
                buffered=True,
            )
        self.page = Page(path, response)
        return self.page

    def get(self, path: str, *, follow: bool = True) -> Page:
        """Open a page and follow redirects."""
        self.send("GET", path)
        return self.follow() if follow else self.page

    def statements(self, path: str) -> list[str]:
        """The SQL behind a page, of every service and the console: ``len(console.statements(path))
        <= 12``."""
        self.get(path, follow=False)
        self.system.statements.clear()
        self.get(path, follow=False)
        assert self.page.status == 200, f"{path}: {self.page.status}"
        return list(self.system.statements)

    def follow(self) -> Page:
        """Follow redirects from the page shown."""
        for _ in range(10):
            if not self.page.location:
                return self.page
            self.send("GET", urljoin(self.page.path, self.page.location))
        raise AssertionError(f"sent round in circles: {self.page.path} to {self.page.location}")

    def click(self, words: str) -> Page:
        """Follow the link with this text."""
        links = self.page.links
        assert words in links, f"no link {words!r} among {sorted(links)}"
        return self.get(urljoin(self.page.path, links[words]))

    def submit(
        self,
        fields: Mapping[str, Any] | None = None,
        *,
        button: str = "",
        action: str = "",
        follow: bool = True,
        confirm: bool = True,
    ) -> Page:
        """Fill in a form of the page shown, with its current values (tokens, keys, entered values),
        and submit it, and confirm what it leads to if that is asked.

        ``fields``: what to change; None unticks. ``button`` and ``action``: the label of the button
        and the address of the form, if there are several; by default the last POST form of the
        page."""
        path = self.page.path.partition("?")[0]
        forms = [
            f
            for f in self.page.forms
            if f.method == "post"
            and (not button or button in f.buttons)
            and (not action or f.action in (action, path))
        ]
        assert forms, (
            f"no such form on {self.page.path} ({self.page.status}): {self.page.text[:600]}"
        )
        form = next((f for f in forms if action and f.action == action), forms[-1])
        unknown = set(fields or {}) - form.names
        assert not unknown, f"the form has no {sorted(unknown)}, only {sorted(form.names)}"
        pressed = next(
            (
                b
                for b in form.element.find("button")
                if b.attrs.get("name") and (not button or b.text == button)
            ),
            None,
        )
        own = {} if pressed is None else {pressed.attrs["name"]: pressed.attrs.get("value", "")}
        filled = {
            name: value
            for name, value in (form.fields | own | dict(fields or {})).items()
            if value is not None
        }
        self.send("POST", form.action, filled)
        if confirm and self.page.top.find(id="confirmation"):
            return self.submit(follow=follow, confirm=False)
        return self.follow() if follow else self.page

    def post(
        self,
        path: str,
        fields: Mapping[str, Any] | None = None,
        *,
        at: str = "",
        button: str = "",
        follow: bool = True,
    ) -> Page:
        """Open the page of a form (``at``, if it is on another page than the one it is sent to),
        fill it in, send it, go where it leads. Refused: ``page.status`` and ``page.error(name)``.
        """
        page = self.get(at or path)
        assert page.status == 200, f"{page.path}: {page.status} {page.text[:300]}"
        return self.submit(fields, button=button, action=path, follow=follow)

    def sign_in(self, email: str, password: str, *, follow: bool = True) -> Page:
        """Sign in on the sign-in page."""
        if self._is_own or self.cookies:
            return self._sign_in(email, password, follow)
        step = ("sign in", self.origin, email, password, follow)
        self.page, self.address, cookies = self.system.once(
            step,
            lambda: (self._sign_in(email, password, follow), self.address, self.client._cookies),
        )
        self.client._cookies = cookies
        return self.page

    def _sign_in(self, email: str, password: str, follow: bool) -> Page:
        return self.post("/sign-in", {"email": email, "password": password}, follow=follow)

    def sign_out(self) -> Page:
        """Press the button of the page shown."""
        return self.submit(button="Sign out", action="/sign-out")
