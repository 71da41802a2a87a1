"""The users of the browser: one with a mouse, or one with a keyboard only."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, Response, expect

# Chromium and htmx report every response with an error status. Error pages are expected; a missing
# asset is not.
_EXPECTED = re.compile(
    "(Failed to load resource: the server responded with a status of|Response Status Error Code) "
    r"(4\d\d|503)\b"
)
# htmx reports a request as an error when it is dropped for the next key or the next page.
_DROPPED = re.compile("htmx:(sendAbort|afterRequest)")
_MOUSE = """for (const kind of ["pointerdown", "mousedown", "wheel"])
    addEventListener(kind, () => console.error("a mouse was used"), true)"""
_TABS = 120
Name = str | re.Pattern[str]


class Person:
    """A user with a mouse. ``troubles``: what the browser complained about; any of it fails the
    test."""

    def __init__(self, context: BrowserContext, address: str, *, troubles: list[str]) -> None:
        self.context, self.address, self.troubles = context, address, troubles
        self.page: Page = context.new_page()
        self.workspace, self.has_script = "", True
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.troubles.append(f"script failed: {error}"))
        self.page.on("response", self._check_policy)

    def go(self, path: str) -> Response:
        """Open an address."""
        response = self.page.goto(self.address + path)
        assert response is not None
        return response

    def sign_in(self, email: str, password: str) -> None:
        """Sign in with the form; ends on a page of a workspace."""
        if (
            urlsplit(self.page.url).path != "/sign-in"
            and not self.page.get_by_label("Password").is_visible()
        ):
            self.go("/sign-in")
        self.fill({"Email address": email, "Password": password})
        self.press("Sign in")
        self.settle()

    def settle(self) -> None:
        """Wait for a page of a workspace, and note its key."""
        expect(self.page).to_have_url(re.compile(r"/at/(org|ses)_"))
        self.workspace = urlsplit(self.page.url).path.split("/")[2]

    def at(self, below: str = "") -> str:
        """The path of a page in the workspace."""
        return f"/at/{self.workspace}{below}"

    def follow(self, name: Name, *, within: Locator | None = None) -> None:
        """Click a link."""
        self.hit(self._one(within, "link", name))

    def press(self, name: Name, *, within: Locator | None = None) -> None:
        """Click a button."""
        self.hit(self._one(within, "button", name))

    def open_more(self) -> None:
        """Open the menu of further actions."""
        self.hit(self.page.locator(".actions > details > summary"))

    def confirm(self, name: Name) -> None:
        """Click a button, and the same one below what it leads to."""
        self.press(name)
        self.sees_heading(re.compile("^Confirm: "))
        self.press(name)

    def fill(self, typed: dict[str, str]) -> None:
        """Fill in fields, by the start of their labels."""
        for label, text in typed.items():
            self.type_into(
                self.page.get_by_role("textbox", name=re.compile(f"^{re.escape(label)}"))
                .or_(
                    self.page.locator("input[type=password], input[type=date]").and_(
                        self.page.get_by_label(label)
                    )
                )
                .first,
                text,
            )

    def choose(self, label: str, option: str) -> None:
        """Select an option by its text."""
        self.pick(
            self.page.get_by_role("combobox", name=re.compile(f"^{re.escape(label)}")), option
        )

    def tick(self, label: Name) -> None:
        """Tick a checkbox or a radio button."""
        self.mark(
            self.page.get_by_role("radio", name=label).or_(
                self.page.get_by_role("checkbox", name=label)
            )
        )

    def reads(self, *words: Name) -> None:
        """The page shows these texts."""
        for one in words:
            expect(self.page.locator("body")).to_contain_text(one)

    def sees_message(self, words: Name) -> None:
        """A banner shows this text."""
        expect(self.page.get_by_role("status").filter(has_text=words).first).to_be_visible()

    def sees_heading(self, name: Name) -> None:
        """The page or the dialog has this heading."""
        expect(self.page.get_by_role("heading", name=name).first).to_be_visible()

    def find(self, name: str, below: str = "") -> None:
        """From the list of customers, by a search, to one of them; ``below``: straight to that
        section of it."""
        self.follow("Customers")
        self.page.wait_for_load_state()  # until then, no script listens to what one types
        self.type_into(self.page.get_by_role("searchbox", name="Search customers"), name)
        if not self.has_script:  # else it is searched while one types
            self.page.keyboard.press("Enter")
        expect(self.page).to_have_url(re.compile(r"[?&]q="))
        expect(self.page.locator("tr[data-row]")).to_have_count(1)
        self.view(name, below)

    def view(self, name: str, below: str = "") -> None:
        """A customer's View on the list, or an item of the menu next to it."""
        row = self.page.locator("tr[data-row]").filter(has_text=name)
        if below:
            self.hit(row.locator("summary"))
            self.follow(below, within=row)
        else:
            self.follow(re.compile("^View"), within=row)
        expect(self.page.get_by_role("heading", level=1)).to_have_text(name)

    def section(self, name: str) -> None:
        """Open another section of the customer shown."""
        self.follow(
            name, within=self.page.get_by_role("navigation", name=re.compile("^Sections of"))
        )

    def figure(self, term: str, value: Name, *, owed: bool | None = None) -> None:
        """A figure shows this value; ``owed``: whether it is marked as negative, by color and by
        text."""
        row = self.page.locator("dl.figures > div").filter(
            has=self.page.locator("dt", has_text=re.compile(f"^{term}"))
        )
        expect(row.locator("dd").first).to_contain_text(value)
        if owed is not None:
            expect(row.locator("dd .money.owed")).to_have_count(int(owed))

    def lacks(self, role: Any, name: Name) -> None:
        """There is no such control."""
        expect(self.page.get_by_role(role, name=name)).to_have_count(0)

    def hit(self, target: Locator) -> None:
        """Click it."""
        target.click()

    def type_into(self, target: Locator, text: str) -> None:
        """Replace the field's value."""
        target.fill(text)

    def pick(self, target: Locator, option: str) -> None:
        """Choose from a list."""
        target.select_option(label=option)

    def mark(self, target: Locator) -> None:
        """Tick it."""
        target.check()

    def _one(self, within: Locator | None, role: Any, name: Name) -> Locator:
        return (within or self.page).get_by_role(role, name=name, exact=isinstance(name, str)).first

    def _check_policy(self, response: Response) -> None:
        page = response.request.resource_type == "document" and response.url.startswith(
            self.address
        )
        if page and "script-src 'self'" not in response.headers.get("content-security-policy", ""):
            self.troubles.append(f"{response.url}: no policy")

    def _on_console(self, message: ConsoleMessage) -> None:
        url = message.location.get("url", "")
        if message.type != "error" or _DROPPED.match(message.text):
            return
        if _EXPECTED.match(message.text) and (
            "/static/" not in url or message.text.startswith("Response")
        ):
            return
        self.troubles.append(f"{urlsplit(self.page.url).path}: {message.text} ({url})")


class Typist(Person):
    """A user with a keyboard only. Using the mouse counts as a trouble."""

    def __init__(self, context: BrowserContext, address: str, *, troubles: list[str]) -> None:
        context.add_init_script(_MOUSE)
        super().__init__(context, address, troubles=troubles)

    def keys(self, *pressed: str) -> None:
        """One after the other; before the page's script has loaded, a shortcut would be lost."""
        self.page.wait_for_load_state()
        for key in pressed:
            self.page.keyboard.press(key)

    def hit(self, target: Locator) -> None:
        """Tab there, and Enter."""
        self.reach(target)
        self.keys("Enter")

    def type_into(self, target: Locator, text: str) -> None:
        """Replace the field's value."""
        self.reach(target)
        self.keys("Control+a")
        self.page.keyboard.type(text)

    def pick(self, target: Locator, option: str) -> None:
        """Tab there, and type the words of the option."""
        self.reach(target)
        self.page.keyboard.type(option)

    def mark(self, target: Locator) -> None:
        """Tab there, and Space; among several buttons, arrows."""
        self.reach(target, other=lambda: self.keys("ArrowDown"))
        if not target.is_checked():
            self.keys("Space")

    def reach(self, target: Locator, *, other: Callable[[], None] | None = None) -> None:
        """Press Tab until the target has a visible focus."""
        target.wait_for()
        for _ in range(_TABS):
            if self.has_focus(target):
                break
            if other and self.page.evaluate("document.activeElement.type === 'radio'"):
                other()
            else:
                self.keys("Tab")
        assert self.has_focus(target), f"{target} is not reached by Tab"
        assert target.evaluate("""e => { const s = getComputedStyle(e);
            return s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2 }"""), (
            f"no focus is seen on {target}"
        )

    def has_focus(self, target: Locator) -> bool:
        """Whether the target has the focus."""
        return bool(target.evaluate("e => e === document.activeElement"))
