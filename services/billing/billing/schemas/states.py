"""What billing stores of organizations, for org."""

import marshmallow as ma
from chassis.http.fields import TypeId


class StatesQuery(ma.Schema):
    """The organization to continue after, and the size of the page."""

    after = TypeId("org", load_default=None)
    limit = ma.fields.Integer(load_default=500, validate=ma.validate.Range(1, 500))


class States(ma.Schema):
    """``states``: each as in ``billing.state_reported.v1``. They are complete up to ``until``;
    None: there are no more."""

    states = ma.fields.List(ma.fields.Dict(), required=True)
    until = TypeId("org", required=True, allow_none=True)
