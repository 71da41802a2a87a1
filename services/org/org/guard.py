"""Who may do what. ``x`` may, ``!`` may after a fresh proof where the provider asks for one, ``-``
may not; customers reach their own organization only. An API key may do what its scopes say."""

from chassis.auth.permissions import Operations

OPERATIONS = Operations.parse("""
#                           | provider's staff                     | customer's people | acts  | scopes of API keys
#                           | owner manager billing support viewer | owner admin member|       | provider's   customer's
organization.create         |   x      x       -       -      -    |   -     -     -   |   -   | org:create   -
organization.list           |   x      x       x       x      x    |   x     x     x   |   x   | cust:list    org:read
organization.read           |   x      x       x       x      x    |   x     x     x   |   x   | cust:read    org:read
organization.change         |   x      x       x       x      -    |   x     -     -   |   x   | cust:write   org:write
organization.change_tags    |   x      x       x       x      -    |   -     -     -   |   -   | cust:write   -
organization.hand_over      |   x      x       x       x      -    |   x     -     -   |   -   | cust:write   org:write
organization.hand_back      |   -      -       -       -      -    |   x     -     -   |   -   | -            -
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
