"""The console has no API and consumes no messages; these are its own rules: who may open which
page, and what pages contain."""

from pathlib import Path

import pytest
from clientele.dispatcher import is_page
from flask import Flask

from tests.house import endpoints, pages
from tests.house.pages import Page
from tests.house.workspace import CONSOLE, listed

# Nobody need be signed in for these. Adding a line is a decision, not a convenience.
OPEN = {
    "GET /",
    "GET /sign-in",
    "POST /sign-in",
    "GET /signed-out",
    "GET /verify/<token>",
    "POST /verify/<token>",
    "POST /verify/<token>/renewal",
    "GET /reset",
    "POST /reset",
    "GET /reset/<token>",
    "POST /reset/<token>",
    "GET /reset-codes/<token>",
    "POST /reset-codes/<token>",
    "GET /undo/<token>",
    "POST /undo/<token>",
    "GET /help",
    "POST /preferences",
}
# Of a browser rather than of a workspace.
SIGNED_IN = {"POST /sign-out"}
# What is everybody's own, whatever their role: the operations behind them are not in a table of
# roles.
OWN = {"GET ", "GET /home", "GET /acting/pulse", "POST /acting/stop"}
# Forms of open pages, by template and a part of them: nobody need be signed in there, so there is
# no token (where the form was is checked all the same).
TOKENLESS = {
    ("sign_in.html", "/sign-in"),
    ("link.html", "request.path"),
    ("link_result.html", "links.renew"),
    ("reset.html", "links.reset"),
    ("macros.html", "help.prefer"),
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    return endpoints.build(CONSOLE, tmp_path_factory.mktemp("console"))


@pytest.fixture(scope="module")
def all_pages(app: Flask) -> list[Page]:
    return list(pages.pages(app))


def test_what_is_open_is_on_the_short_list(all_pages: list[Page]) -> None:
    open_ = {str(page) for page in all_pages if page.operation == "open"}

    assert open_ - OPEN == set(), "not on the list"
    assert OPEN - open_ == set(), "on the list for nothing"
    assert not (
        broken := [
            page for page in all_pages if page.operation == "open" and page.is_in_a_workspace
        ]
    ), listed(broken)


def test_every_workspace_page_requires_an_operation(all_pages: list[Page]) -> None:
    bare = {
        str(page).replace(pages.WORKSPACE, "")
        for page in all_pages
        if page.is_in_a_workspace and not page.operation
    }

    assert bare - OWN == set(), "needs nothing"
    assert OWN - bare == set(), "on the list for nothing"


def test_pages_outside_a_workspace_are_on_a_list(all_pages: list[Page]) -> None:
    assert {
        str(page) for page in all_pages if not page.operation and not page.is_in_a_workspace
    } == SIGNED_IN
    assert {str(page) for page in all_pages if page.operation == "asset"} == {
        "GET /static/<path:name>"
    }


def test_operations_of_pages_exist_in_the_services_tables(all_pages: list[Page]) -> None:
    known = pages.operations(CONSOLE.package) | {"open", "asset", ""}
    strange = [
        f"{path}: {name}"
        for path, name in pages.named(CONSOLE.package, "operation")
        if name not in known
    ]

    assert not (broken := [page for page in all_pages if page.operation not in known]), listed(
        broken
    )
    assert not strange, listed(strange)


def test_every_link_and_every_template_is_there(app: Flask) -> None:
    endpoints, templates = set(app.view_functions), set(app.jinja_env.list_templates())
    astray = [
        f"{p}: {name}"
        for p, name in pages.named(CONSOLE.package, "endpoint")
        if name not in endpoints
        and not (name.endswith(".") and any(e.startswith(name) for e in endpoints))
    ]
    missing = [
        f"{p}: {name}"
        for p, name in pages.named(CONSOLE.package, "template")
        if name not in templates
    ]
    named = {name for _, name in pages.named(CONSOLE.package, "template")}

    assert not astray, listed(astray)
    assert not missing, listed(missing)
    assert templates - named == set(), "nobody shows it"


def test_every_template_can_be_read(app: Flask) -> None:
    for name in app.jinja_env.list_templates():
        app.jinja_env.get_template(name)


def test_templates_hold_nothing_that_runs_or_passes_for_markup() -> None:
    assert not (broken := pages.blemishes(CONSOLE.package)), listed(broken)


def test_every_form_that_is_sent_bears_the_token() -> None:
    forms = list(pages.without_token(CONSOLE.package))
    bare = [
        f"{at}: {form}"
        for at, form in forms
        if not any(at.name == n and part in form for n, part in TOKENLESS)
    ]

    assert not bare, listed(bare)
    assert {
        (n, part) for at, form in forms for n, part in TOKENLESS if at.name == n and part in form
    } == TOKENLESS


def test_every_page_has_an_address_that_is_sent_to_the_console(all_pages: list[Page]) -> None:
    strange = [page for page in all_pages if not is_page(endpoints.filled(page.path))]

    assert not strange, listed(strange)


PLANTED = {
    "safe": ("templates/a.html", "{{ name | safe }}"),
    "autoescape": ("templates/a.html", "{% autoescape false %}{% endautoescape %}"),
    "script": ("templates/a.html", "<script>go()</script>"),
    "handler": ("templates/a.html", '<p onclick="go()">'),
    "htmx handler": ("templates/a.html", '<p hx-on:click="go()">'),
    "style": ("templates/a.html", '<p style="color: red">'),
    "style sheet": ("templates/a.html", "<style>p {}</style>"),
    "elsewhere": ("templates/a.html", '<img src="//evil.example/a.png">'),
}


@pytest.mark.parametrize("violation", PLANTED)
def test_the_rule_finds_a_violation(violation: str, tmp_path: Path) -> None:
    where, text = PLANTED[violation]
    (tmp_path / "templates").mkdir()
    (tmp_path / where).write_text(f'{{# | safe #}}<script src="a.js"></script>{text}')

    assert len(pages.blemishes(tmp_path)) == 1


def test_a_forgotten_mark_a_lost_link_and_a_form_without_token_are_noticed(tmp_path: Path) -> None:
    app = Flask("planted", static_folder=None)
    app.add_url_rule(
        "/at/<workspace>/forgotten", "forgotten", lambda workspace: "", methods=["POST"]
    )
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "a.html").write_text(
        '<form method="post">{{ url_for("gone.show") }}</form>'
    )
    (tmp_path / "views").mkdir()
    (tmp_path / "views" / "a.py").write_text(
        'page.done("Said.", "gone.too")\n@needs("no.such")\nshow("b.html")\n'
    )

    assert list(pages.pages(app)) == [Page("POST", "/at/<workspace>/forgotten", "")]
    assert [name for _, name in pages.named(tmp_path, "endpoint")] == ["gone.show", "gone.too"]
    assert [name for _, name in pages.named(tmp_path, "operation")] == ["no.such"]
    assert [name for _, name in pages.named(tmp_path, "template")] == ["b.html"]
    assert [at.name for at, _ in pages.without_token(tmp_path)] == ["a.html"]
