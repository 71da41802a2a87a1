"""The table that all sagas run by: dispatch of replies, re-sending of requests and documentation.

An organization is in one saga at most. A saga begins in the first state that the table has for it.
On entering a state its request is sent, and sent again until one of the state's replies arrives. A
reply that is not waited for is late or repeated and changes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from contracts import Message, billing, membership
from sqlalchemy.orm import Session

from org.models import Organization, Saga
from org.sagas.activation import restore
from org.sagas.deletion import refuse, schedule, undo_if_refused, void_tokens
from org.sagas.opening import activate
from org.sagas.purge import complete, postpone
from org.sagas.requests import (
    close_account,
    end_access,
    erase_members,
    freeze_account,
    invite_owner,
    open_account,
    reopen_account,
    restore_access,
    seal_account,
    suspend_access,
)

Request = Callable[[Organization, Saga], Message]
Effect = Callable[[Session, Organization, Saga, Any, datetime], str | None]
Late = Callable[[Session, Organization, Any], str | None]

END = ""


@dataclass(frozen=True)
class Transition:
    """What a reply does to the saga that waits for it.

    ``request`` was sent on entering the state ``waiting_for``. ``next``: the state that follows,
    END if the saga is over. ``effect``: what else the reply changes; it returns the saga that
    begins when this one has ended, None for none. ``late``: returns the saga that a reply which is
    not waited for begins, None for none.
    """

    saga: str
    waiting_for: str
    request: Request
    next: str
    effect: Effect | None = None
    late: Late | None = None


_T = Transition
TABLE: dict[type[Message], Transition] = {
    # reply                       saga            waits for  request sent    next       effect
    billing.AccountOpened:     _T("opening",      "account", open_account,   "owner"),
    membership.OwnerInvited:   _T("opening",      "owner",   invite_owner,   END,       activate),
    billing.AccountClosed:     _T("deletion",     "account", close_account,  "access",  void_tokens,
                                  late=undo_if_refused),
    billing.AccountNotClosed:  _T("deletion",     "account", close_account,  END,       refuse),
    membership.AccessEnded:    _T("deletion",     "access",  end_access,     END,       schedule),
    billing.AccountSealed:     _T("purge",        "account", seal_account,   "members"),
    billing.AccountNotSealed:  _T("purge",        "account", seal_account,   END,       postpone),
    membership.MembersErased:  _T("purge",        "members", erase_members,  END,       complete),
    billing.AccountFrozen:     _T("suspension",   "account", freeze_account, "access"),
    membership.AccessSuspended: _T("suspension",  "access",  suspend_access, END),
    billing.AccountReopened:   _T("reactivation", "account", reopen_account, "access"),
    membership.AccessRestored: _T("reactivation", "access",  restore_access, END,       restore),
}  # fmt: skip


def first_state(saga: str) -> str:
    """What a new saga waits for."""
    return next(row.waiting_for for row in TABLE.values() if row.saga == saga)


def request_in(saga: str, waiting_for: str) -> Request:
    """The request that is sent in this state."""
    return next(
        row.request for row in TABLE.values() if (row.saga, row.waiting_for) == (saga, waiting_for)
    )
