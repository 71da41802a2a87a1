"""What the auditor found."""

import marshmallow as ma
from chassis.http.fields import Stamp

from billing.schemas.fields import amount_shown
from billing.schemas.transactions import EntryShown


class TrialBalance(ma.Schema):
    """What was debited and credited in one currency, by account of the chart; the two come to the same in all.
    ``customers_balance``: the sum of customers' positive money."""

    currency = ma.fields.String(required=True)
    customers_balance = amount_shown(required=True)
    accounts = ma.fields.List(ma.fields.Nested(EntryShown), required=True)


class Discrepancy(ma.Schema):
    """Something that does not hold. ``organization_id``: of whose journal; the provider's own
    journal is its own."""

    organization_id = ma.fields.String(required=True)
    invariant = ma.fields.String(required=True)
    detail = ma.fields.String(required=True)


class LedgerProof(ma.Schema):
    """A pass through all of a provider's books. ``discrepancies``: a thousand at the most."""

    status = ma.fields.String(required=True, validate=ma.validate.OneOf(("passed", "failed")))
    started_at = Stamp(required=True)
    finished_at = Stamp(required=True)
    accounts = ma.fields.Integer(required=True)
    entries = ma.fields.Integer(required=True)
    trial_balance = ma.fields.List(ma.fields.Nested(TrialBalance), required=True)
    discrepancies = ma.fields.List(ma.fields.Nested(Discrepancy), required=True)
