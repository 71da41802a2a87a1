"""How sagas proceed: they begin, send a request, receive a reply."""

from datetime import datetime, timedelta

from chassis.messaging import outbox
from chassis.runtime import ids, log
from contracts import Message
from sqlalchemy.orm import Session

from org import queries
from org.models import Organization, Saga
from org.sagas.table import END, TABLE, Transition, first_state, request_in

RESEND_AFTER = timedelta(seconds=30)
_LOG = log.get("sagas")


def begin(
    session: Session,
    organization: Organization,
    kind: str,
    *,
    now: datetime,
    deletion_id: str | None = None,
    status_after: str | None = None,
) -> None:
    """Begin a saga and send its first request."""
    saga = Saga(
        id=ids.new("cnv"),
        organization_id=organization.id,
        deletion_id=deletion_id,
        kind=kind,
        waiting_for=first_state(kind),
        status_after=status_after,
        begun_at=now,
        times_sent=0,
        resend_at=now,
    )
    session.add(saga)
    send_request(session, organization, saga, now=now)


def send_request(
    session: Session, organization: Organization, saga: Saga, *, now: datetime
) -> None:
    """Send the request of the saga's state; it is due again after 30, 60, 90 … seconds."""
    saga.times_sent += 1
    saga.resend_at = now + RESEND_AFTER * saga.times_sent
    request = request_in(saga.kind, saga.waiting_for)
    outbox.publish(session, request(organization, saga))


def receive_reply(session: Session, message: Message, *, now: datetime) -> None:
    """Proceed as the table says; ignore a reply that is late or repeated."""
    transition = TABLE[type(message)]
    organization = queries.organization(session, message.aggregate, lock=True)
    saga = queries.open_saga(session, organization.id)
    if saga is None or not _waits_for(saga, transition, message):
        _LOG.info(
            "saga.reply_ignored",
            organization_id=organization.id,
            kind=transition.saga,
            waiting_for=transition.waiting_for,
        )
        if saga is None or saga.kind == "suspension":
            _begin_late(session, organization, saga, message, now)
        return
    if transition.next == END:
        saga.finished_at = now
    following = None
    if transition.effect is not None:
        following = transition.effect(session, organization, saga, message, now)
    if following is not None:
        begin(session, organization, following, now=now)
    if transition.next != END:
        saga.waiting_for = transition.next
        saga.times_sent = 0
        send_request(session, organization, saga, now=now)


def _waits_for(saga: Saga, transition: Transition, message: Message) -> bool:
    if (saga.kind, saga.waiting_for) != (transition.saga, transition.waiting_for):
        return False
    about = getattr(message, "deletion_id", None) or getattr(message, "conversation_id", None)
    return about in (None, saga.id, saga.deletion_id)


def _begin_late(
    session: Session,
    organization: Organization,
    suspension: Saga | None,
    message: Message,
    now: datetime,
) -> None:
    """Begin the saga that a late reply calls for. It replaces a suspension, which it confirms."""
    late = TABLE[type(message)].late
    if late is None:
        return
    kind = late(session, organization, message)
    if kind is not None:
        if suspension is not None:
            suspension.finished_at = now
        begin(session, organization, kind, now=now, status_after=organization.status)
