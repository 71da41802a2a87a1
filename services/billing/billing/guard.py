"""Who may do what.

``x``: allowed. ``!``: allowed after re-authentication, if the provider requires it. ``-``: not
allowed. Customers have access to their own organization only. API keys have access by their scopes.
"""

from chassis.auth.permissions import Operations

OPERATIONS = Operations.parse("""
#                   | provider's staff                     | customer's people |acting | scopes of API keys
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
