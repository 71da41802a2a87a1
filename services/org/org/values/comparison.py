"""What org and another service disagree on about an organization."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from contracts import Message, billing, membership

from org.values import ACTIVE, DELETED, SUSPENDED, SUSPENDED_FOR_DELETION

BILLING, MEMBERSHIP = SERVICES = "billing", "membership"
# Kinds of differences.
MISSING, UNKNOWN, STATE, FIGURES, SETTINGS = "missing", "unknown", "state", "figures", "settings"

# An organization in another status is in a saga, or else has come to a stop.
_EXPECTED = {
    ACTIVE: {BILLING: "open", MEMBERSHIP: "open"},
    SUSPENDED: {BILLING: "frozen", MEMBERSHIP: "suspended"},
    SUSPENDED_FOR_DELETION: {BILLING: "closed", MEMBERSHIP: "ended"},
    DELETED: {BILLING: "sealed", MEMBERSHIP: "erased"},
}
_PERSONAL = ("owner_name", "owner_email")
_NOT_STORED = "(not stored)"


class Sides(NamedTuple):
    """What org and the other service have, as far as they differ."""

    ours: dict[str, Any]
    theirs: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class OwnState:
    """What org believes of an organization. ``in_saga``: it is about to change. ``figures``: by
    service, what org has received of it. ``settings``: of a provider, by service."""

    kind: str
    status: str
    in_saga: bool
    figures: Mapping[str, Mapping[str, Any]]
    settings: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What another service stores of an organization. ``state`` None: it does not know it."""

    service: str
    organization_id: str
    check_id: str
    state: str | None
    figures: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any]


def read(message: Message) -> Report:
    """The report in a message: one of ``_READERS``."""
    return _READERS[type(message)](message)


def kind_of(service: str) -> type[Message]:
    """The message by which the service reports."""
    return next(kind for kind in _READERS if kind.producer() == service)


def _of_billing(message: billing.StateReported) -> Report:
    figures = dict(vars(message.account)) if message.account else {}
    return _report(message, figures.pop("status", None), figures)


def _of_membership(message: membership.StateReported) -> Report:
    access = message.access
    figures = {}
    if access is not None and access.owner is not None:  # without one, no counts are published
        figures = member_figures(access.members, access.admins, vars(access.owner))
    return _report(message, access.state if access else None, figures)


def _report(message: Any, state: str | None, figures: Mapping[str, Any]) -> Report:
    return Report(
        service=message.producer(),
        organization_id=message.organization_id,
        check_id=message.check_id,
        state=state,
        figures=figures,
        settings=settings_figures(message.settings_version, message.settings_version),
    )


_READERS: Mapping[type[Message], Callable[[Any], Report]] = {
    billing.StateReported: _of_billing,
    membership.StateReported: _of_membership,
}


def member_figures(members: int, admins: int, owner: Mapping[str, Any]) -> dict[str, Any]:
    """The counts and the owner of a message."""
    name = f"{owner.get('given_name')} {owner.get('family_name')}"
    return {
        "members": members,
        "admins": admins,
        "owner": owner.get("member_id"),
        "owner_verified": owner.get("verified"),
        "owner_email": owner.get("email"),
        "owner_name": name,
    }


def settings_figures(version: int, applied: int) -> dict[str, int]:
    """``version``: the latest one; ``applied``: the one that the service applies."""
    return {"version": version, "applied": applied}


def differences(ours: OwnState | None, report: Report) -> dict[str, Sides]:
    """What differs, by kind. Nothing can be said of an organization that is in a saga."""
    if ours is None:
        return {} if report.state is None else {UNKNOWN: Sides({}, {"state": report.state})}
    if ours.in_saga:
        return {}
    has_state = ours.kind == "customer" or report.service == MEMBERSHIP
    differing = _in_state(ours, report) if has_state else {}
    if ours.kind == "provider" and (
        sides := _sides(ours.settings[report.service], report.settings)
    ):
        differing[SETTINGS] = sides
    return differing


def _in_state(ours: OwnState, report: Report) -> dict[str, Sides]:
    if report.state is None:
        return {MISSING: Sides({"status": ours.status}, {})}
    differing = {}
    if report.state != _EXPECTED.get(ours.status, {}).get(report.service):
        differing[STATE] = Sides({"status": ours.status}, {"state": report.state})
    figures = _sides(ours.figures[report.service], report.figures)
    if figures and not (ours.status == DELETED and report.service == MEMBERSHIP):
        differing[FIGURES] = figures
    return differing


def _sides(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Sides | None:
    """The values that differ, without those that are personal."""
    names = [name for name, value in theirs.items() if ours[name] != value]
    if not names:
        return None
    return Sides(_stored(ours, names), _stored(theirs, names))


def _stored(side: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: _NOT_STORED if name in _PERSONAL else side[name] for name in names}


@dataclass(frozen=True)
class Page:
    """What a service stores of each organization up to ``until``, after some organization. None:
    there are no more."""

    states: Mapping[str, Any]
    until: str | None


class Comparison(NamedTuple):
    """Of a page: up to where all services were compared (None: to the end), how many organizations,
    and which seem to differ."""

    until: str | None
    organizations: int
    suspects: list[str]


def compare(own: Page, reported: Mapping[str, Page]) -> Comparison:
    """Compare as far as every page is complete. The pages were read one after the other while
    requests and messages went on, so that what differs may agree already."""
    pages = (own, *reported.values())
    until = min((page.until for page in pages if page.until is not None), default=None)
    known = {
        organization_id
        for page in pages
        for organization_id in page.states
        if until is None or organization_id <= until
    }
    suspects = [
        organization_id
        for organization_id in sorted(known)
        if any(
            differences(own.states.get(organization_id), report)
            for service, page in reported.items()
            for report in [page.states.get(organization_id) or nothing(service, organization_id)]
        )
    ]
    return Comparison(until, len(known), suspects)


def nothing(service: str, organization_id: str) -> Report:
    """The report of a service that does not know the organization."""
    return Report(
        service=service,
        organization_id=organization_id,
        check_id="",
        state=None,
        settings=settings_figures(0, 0),
    )
