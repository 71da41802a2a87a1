"""What templates may call: amounts, instants, states, links."""

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask, current_app, g, request, url_for

from console import guard
from console.values import words
from console.values.sections import SECTIONS, SHORTCUTS
from console.views import assets, page


def plug(app: Flask) -> None:
    """Make them known to the templates."""
    env = app.jinja_env
    env.trim_blocks = env.lstrip_blocks = True
    env.filters.update(
        money=words.money, sign=words.sign, words=words.words, state=words.state, instant=_instant, day=_day,
        json=json.dumps,
    )
    env.globals.update(SECTIONS=SECTIONS, SHORTCUTS=SHORTCUTS, asset=assets.url, with_args=_with_args)
    app.context_processor(_of_every_page)


def _of_every_page() -> dict[str, Any]:
    visitor = g.get("visitor")
    seat = visitor.seat if visitor else None
    return {
        "visitor": visitor, "seat": seat, "said": page.said() if seat else "", "look": assets.look(),
        "may": visitor.may if seat else lambda _operation: False,
        "csrf": guard.csrf(visitor.secret) if visitor else "",
        "sections": [s for s in SECTIONS if visitor and seat and visitor.may(s.operation)
                     and s.endpoint in current_app.view_functions],
    }


def _instant(stamp: str | None, zone: str = "UTC", short: bool = False) -> str:
    """``23 Nov 2026, 14:05 (Asia/Singapore)``; ``short`` without the zone."""
    if not stamp:
        return "–"
    at = datetime.fromisoformat(stamp).astimezone(ZoneInfo(zone) if zone != "UTC" else UTC)
    return f"{at.day} {at:%b %Y, %H:%M}" + ("" if short else f" ({zone})")


def _day(stamp: str | None) -> str:
    """``23 Nov 2026``."""
    if not stamp:
        return "–"
    at = datetime.fromisoformat(stamp)
    return f"{at.day} {at:%b %Y}"


def _with_args(**changed: Any) -> str:
    """This page's address with some of its query changed; None takes a part away."""
    query = {**request.args.to_dict(), **changed}
    words_ = {**(request.view_args or {}), **{k: v for k, v in query.items() if v not in (None, "")}}
    return url_for(request.endpoint or "", **words_)
