"""Who may do what. ``x``: yes. ``!``: yes, after re-authentication if the provider requires it.
``-``: no. Customers reach their own organization only. An API key may do what its scopes allow.
"""

from collections.abc import Mapping
from typing import Any

from chassis.auth.permissions import Operations

from org.models import FIELDS

OPERATIONS = Operations.parse("""
#                           | provider's staff                     | customer's people |acting | scopes of API keys
#                           | owner manager billing support viewer | owner admin member|       | provider's   customer's
organization.create         |   x      x       -       -      -    |   -     -     -   |   -   | org:create   -
organization.list           |   x      x       x       x      x    |   x     x     x   |   x   | cust:list    org:read
organization.read           |   x      x       x       x      x    |   x     x     x   |   x   | cust:read    org:read
organization.change         |   x      x       x       x      -    |   x     -     -   |   x   | cust:write   org:write
organization.billing_email  |   x      x       x       x      -    |   x     -     -   |   -   | cust:write   org:write
organization.change_tags    |   x      x       x       x      -    |   -     -     -   |   -   | cust:write   -
organization.hand_over      |   x      x       x       x      -    |   x     -     -   |   -   | cust:write   org:write
organization.hand_back      |   -      -       -       -      -    |   x     -     -   |   -   | -            -
organization.require_codes  |   -      -       -       -      -    |   x     -     -   |   -   | -            -
organization.suspend        |   x      x       -       -      -    |   -     -     -   |   -   | org:suspend  -
organization.activate       |   x      x       -       -      -    |   -     -     -   |   -   | org:suspend  -
organization.deletion_check |   x      x       x       x      x    |   -     -     -   |   -   | cust:read    -
organization.delete         |   !      !       -       -      -    |   -     -     -   |   -   | org:delete   -
organization.deletion_read  |   x      x       x       x      x    |   x     x     -   |   -   | cust:read    org:read
timeline.read               |   x      x       x       x      x    |   x     x     -   |   -   | cust:read    audit:read
audit.read                  |   x      x       x       x      x    |   x     x     -   |   -   | audit:read   audit:read
settings.read               |   x      x       x       x      x    |   -     -     -   |   -   | cust:read    -
settings.change             |   !      !       -       -      -    |   -     -     -   |   -   | -            -
""")

# What is said to those who may not, where there is more to say than to ask an owner.
REFUSALS = {
    "organization.require_codes": (
        "Only the owner of the customer can set mfa_required, in person. The provider sets it for "
        "its own staff: PATCH /v1/settings."
    )
}


def operations_to_change(changes: Mapping[str, Any]) -> list[str]:
    """The operations that a patch of an organization needs besides ``organization.change``."""
    operations = [
        FIELDS[name].operation_for(value) for name, value in reversed(list(changes.items()))
    ]
    return [operation for operation in dict.fromkeys(operations) if operation]
