"""Filters and variables of the templates."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from flask import Flask, current_app, g, request
from werkzeug.local import LocalProxy

from console.guard import forgery
from console.values import amounts, audit_labels, days, figures, labels, settlement
from console.values.attention import attention
from console.values.sections import SECTIONS, SHORTCUTS, Section
from console.views import assets, page, support


def register(app: Flask) -> None:
    """Register them."""
    env = app.jinja_env
    env.trim_blocks = env.lstrip_blocks = True
    env.filters.update(
        money=amounts.money,
        sign=labels.sign,
        label=labels.label,
        state=labels.state,
        banner_tone=labels.banner_tone,
        instant=_instant,
        day=_day,
        json=json.dumps,
        attention=attention,
        actor=labels.actor,
        action=audit_labels.action,
        why=audit_labels.reason,
        held=audit_labels.value,
        duration=labels.duration,
        settlement=settlement.state,
        to_empty=figures.to_empty,
        credited=settlement.credited,
    )
    env.globals.update(
        SECTIONS=SECTIONS, SHORTCUTS=SHORTCUTS, asset=assets.url, with_args=with_args
    )
    app.context_processor(_of_every_page)


def _of_every_page() -> dict[str, Any]:
    visitor = g.get("visitor")
    workspace = visitor.workspace_or_none if visitor else None
    return {
        "visitor": visitor,
        "workspace": workspace,
        "flash": page.flash_message() if workspace else "",
        "theme": assets.theme(),
        "may": visitor.may if workspace else lambda _operation: False,
        "csrf": forgery.csrf(visitor.secret) if visitor else "",
        "sections": LocalProxy(_sections),
    }


def _sections() -> list[Section]:
    """The sections that the role allows. Loaded only by pages that show them, not by error
    pages."""
    if "sections" not in g:
        visitor = g.get("visitor")
        g.sections = [
            s
            for s in SECTIONS
            if visitor
            and visitor.workspace_or_none
            and visitor.may(s.operation)
            and s.endpoint in current_app.view_functions
            and (s.endpoint != "support.show" or support.is_enabled())
        ]
    return list(g.sections)


def _instant(stamp: str | None, zone: str = "UTC", short: bool = False) -> str:
    """``23 Nov 2026, 14:05 (Asia/Singapore)``; ``short`` without the zone."""
    if not stamp:
        return "–"
    at = datetime.fromisoformat(stamp).astimezone(ZoneInfo(zone) if zone != "UTC" else UTC)
    return f"{days.text(at)}, {at:%H:%M}" + ("" if short else f" ({zone})")


def _day(stamp: str | None) -> str:
    """``23 Nov 2026``."""
    if not stamp:
        return "–"
    return days.text(datetime.fromisoformat(stamp))


def with_args(**changed: Any) -> str:
    """This page's address with some query parameters changed; None or an empty value removes
    one."""
    query = {
        name: value
        for name, value in {**request.args.to_dict(), **changed}.items()
        if value not in (None, "")
    }
    return quote(request.path) + (f"?{urlencode(query)}" if query else "")
