"""What the console's database has, and its tokens."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from chassis.db.database import Database
from chassis.runtime import clock
from console.models import WorkspaceSession
from console.values.sealing import unseal
from sqlalchemy import func, select, text, update

from tests.console.browser import Browser, Page


def count_of(store: Database, table: type) -> int:
    with store.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def open_at_once(console: Browser, paths: list[str]) -> list[Page]:
    """Open these in several tabs of the same browser."""
    cookie = {"Cookie": f"clientele={console.cookies['clientele']}"}
    with ThreadPoolExecutor(len(paths)) as pool:
        return list(
            pool.map(lambda path: Browser(console.system).send("GET", path, headers=cookie), paths)
        )


def only_row(store: Database, table: type[Any]) -> Any:
    with store.reading() as session:
        return session.scalars(select(table)).one()


def tokens_of(store: Database, console: Browser) -> dict[str, str]:
    return dict(unseal(console.cookies["clientele"], only_row(store, WorkspaceSession).tokens))


def let_tokens_expire(store: Database) -> None:
    """Let five minutes pass."""
    with store.transaction() as session:
        session.execute(update(WorkspaceSession).values(until=clock.now() - timedelta(seconds=1)))


def all_text(store: Database) -> str:
    with store.reading() as session:
        return json.dumps(
            [
                list(map(repr, session.execute(text(f"SELECT * FROM {name}")).all()))
                for name in ("browsers", "seats", "drafts")
            ]
        )


def csrf_token(console: Browser) -> str:
    return next(form.fields["csrf"] for form in console.page.forms if "csrf" in form.names)


def send_stale_form(console: Browser, org: str, reason: str) -> str:
    """Send a form with a stale token; the address under which it is kept."""
    page = console.send(
        "POST",
        f"/at/{console.workspace or console.page.path.split('/')[2]}/c/{org}/settings/suspend",
        {"csrf": "stale", "reason": reason},
    )
    assert page.status == 303, page.text
    return page.location
