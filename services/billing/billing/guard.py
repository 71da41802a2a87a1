"""Who may do what. ``x`` may, ``!`` may after a fresh proof where the provider asks for one, ``-``
may not; customers reach their own organization only. An API key may do what its scopes say."""

from chassis.auth.permissions import Operations

OPERATIONS = Operations.parse("""
#                   | provider's staff                     | customer's people | acts  | scopes of API keys
#                   | owner manager billing support viewer | owner admin member|       | provider's   customer's
account.read        |   x      x       x       x      x    |   x     x     -   |   x   | pay:read     credits:read
account.change      |   x      x       x       -      -    |   -     -     -   |   -   | pay:adjust   -
account.top_up      |   x      x       x       -      -    |   -     -     -   |   -   | pay:adjust   -
account.withdraw    |   !      !       -       -      -    |   -     -     -   |   -   | pay:withdraw -
account.charge      |   x      x       x       -      -    |   -     -     -   |   -   | pay:charge   -
account.reserve     |   x      x       x       -      -    |   -     -     -   |   -   | pay:charge   -
account.adjust      |   x      x       x       -      -    |   -     -     -   |   -   | pay:adjust   -
account.refund      |   x      x       x       -      -    |   -     -     -   |   -   | pay:adjust   -
account.reverse     |   x      x       x       -      -    |   -     -     -   |   -   | pay:adjust   -
account.remove_card |   x      x       x       -      -    |   x     -     -   |   -   | pay:adjust   billing:write
invoices.read       |   x      x       x       x      x    |   x     x     -   |   x   | pay:read     invoices:read
invoices.issue      |   x      x       x       -      -    |   -     -     -   |   -   | pay:adjust   -
payments.read       |   x      x       x       x      x    |   x     x     -   |   x   | pay:read     invoices:read
payments.record     |   x      x       x       -      -    |   -     -     -   |   -   | pay:adjust   -
transactions.read   |   x      x       x       x      x    |   x     x     -   |   x   | pay:read     credits:read
usage.record        |   x      x       x       -      -    |   -     -     -   |   -   | usage:write  -
ledger.read         |   x      x       x       -      -    |   -     -     -   |   -   | pay:read     -
wallet.read         |   x      x       x       x      x    |   -     -     -   |   -   | pay:read     -
wallet.top_up       |   x      x       x       -      -    |   -     -     -   |   -   | pay:adjust   -
""")
