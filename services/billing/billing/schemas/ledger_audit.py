"""The result of the ledger audit."""

import marshmallow as ma
from chassis.http.fields import Stamp

from billing.schemas.fields import amount_shown
from billing.schemas.transactions import EntryShown


class TrialBalance(ma.Schema):
    """Debits and credits in one currency, by account of the chart; both have the same total.

    ``customers_balance``: the sum of all customers' credit.
    """

    currency = ma.fields.String(required=True)
    customers_balance = amount_shown(required=True)
    accounts = ma.fields.List(ma.fields.Nested(EntryShown), required=True)


class Discrepancy(ma.Schema):
    """A violated invariant. ``organization_id``: the customer or provider whose journal it is
    in."""

    organization_id = ma.fields.String(required=True)
    invariant = ma.fields.String(required=True)
    detail = ma.fields.String(required=True)


class LedgerProof(ma.Schema):
    """An audit of all accounts of a provider. ``discrepancies``: at most a thousand."""

    status = ma.fields.String(required=True, validate=ma.validate.OneOf(("passed", "failed")))
    started_at = Stamp(required=True)
    finished_at = Stamp(required=True)
    accounts = ma.fields.Integer(required=True)
    entries = ma.fields.Integer(required=True)
    trial_balance = ma.fields.List(ma.fields.Nested(TrialBalance), required=True)
    discrepancies = ma.fields.List(ma.fields.Nested(Discrepancy), required=True)
