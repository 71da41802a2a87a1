"""Help and this browser's preferences; every listed shortcut exists."""

import re
from pathlib import Path

import pytest
from console import views
from console.values.sections import SECTIONS, SHORTCUTS

from tests.console.browser import Browser
from tests.console.provider import Provider
from tests.console.test_sign_in import ELSEWHERE

CONSOLE = Path(views.__file__).parents[1]
# Keys that the script handles; Enter is the browser's own.
SCRIPTED = {"j", "k", "v", "Esc", "Enter", "Ctrl K"}


def test_help_lists_every_shortcut(console: Browser) -> None:
    page = console.get("/help")

    assert page.status == 200
    for rows in SHORTCUTS.values():
        for keys, does in rows:
            assert " ".join(keys.split()) in page.text and does in page.text


def test_every_listed_shortcut_has_an_element() -> None:
    pages = "".join(path.read_text() for path in (CONSOLE / "templates").glob("*.html"))
    pressed = set(re.findall(r'data-key="([^"{]+)"', pages)) | {section.key for section in SECTIONS}
    listed = {keys for rows in SHORTCUTS.values() for keys, _ in rows}

    assert listed - SCRIPTED == pressed
    assert pages.count('data-key="{{ section.key }}"') == 2, (
        "the sections of a customer, and those of a row"
    )


def test_shortcuts_are_unique() -> None:
    listed = [keys for rows in SHORTCUTS.values() for keys, _ in rows]

    assert len(listed) == len(set(listed))


def test_the_color_theme_is_stored_and_reset(console: Browser) -> None:
    console.send("POST", "/preferences", {"look": "dark", "next": "/help"})
    assert 'data-look="dark"' in console.get("/help").html

    console.send("POST", "/preferences", {"look": "", "next": "/help"})
    assert "data-look" not in console.get("/help").html


def test_only_known_preferences_are_stored(console: Browser) -> None:
    console.send(
        "POST", "/preferences", {"look": 'pink"; onload=', "keys": "all", "session": "mine"}
    )

    assert not {"look", "keys", "session"} & set(console.cookies)


@pytest.mark.parametrize("target", ELSEWHERE)
def test_a_preference_never_redirects_to_another_site(console: Browser, target: str) -> None:
    assert console.send("POST", "/preferences", {"keys": "off", "next": target}).location == "/"


def test_a_form_sent_from_a_dialog_gets_its_location_in_a_header(
    console: Browser, provider: Provider
) -> None:
    provider.owner.sign_in(console)

    page = console.send("GET", "/", headers={"X-Dialog": "1"})

    assert (page.status, page.headers["X-Location"]) == (204, f"/at/{provider.id}/home")
    assert page.location == "" and page.html == ""
