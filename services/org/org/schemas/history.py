"""Timeline and audit as requests and responses carry them."""

import marshmallow as ma
from chassis.http.fields import Stamp, Text
from chassis.http.paging import PageArgs

from org import values
from org.schemas import fields


class TrailQuery(PageArgs):
    """Filters of the audit."""

    action = Text(most=64)
    actor = Text(most=64)
    actor_kind = fields.choice("member", "staff", values.SUPPORT, "api_key", "system")
    target = Text(most=64)
    outcome = fields.choice("ok", "denied", "error")
    from_ = Stamp(data_key="from")
    to = Stamp()


class _Row(ma.Schema):
    id = ma.fields.String()
    at = Stamp()
    action = ma.fields.String()
    outcome = ma.fields.String()
    actor = ma.fields.Dict()
    target = ma.fields.Dict()
    changes = ma.fields.List(ma.fields.Dict())
    reason = ma.fields.String(allow_none=True)
    request_id = ma.fields.String(allow_none=True)
    service = ma.fields.String()


class AuditRow(_Row):
    """An entry of the audit log. ``client_address``: from where it was done; null after 90 days, if
    it was no request, and for customers also if it was not done by their own."""

    client_address = ma.fields.String(allow_none=True)


class TimelineRow(_Row):
    """An entry of the timeline. ``message_id``: the message that reported it."""

    message_id = ma.fields.String()
