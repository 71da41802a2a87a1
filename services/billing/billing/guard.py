"""Who may do what. ``x`` may, ``-`` may not; customers reach their own organization only."""

from chassis.permissions import Operations

OPERATIONS = Operations.parse("""
#                     provider's staff                         customer's people     acting
#                   | owner manager billing support viewer  |  owner admin member |  for somebody
account.read        |   x      x       x       x      x     |    x     x     -    |   x
account.change      |   x      x       x       -      -     |    -     -     -    |   -
account.top_up      |   x      x       x       -      -     |    -     -     -    |   -
account.withdraw    |   x      x       x       -      -     |    -     -     -    |   -
account.charge      |   x      x       x       -      -     |    -     -     -    |   -
account.reserve     |   x      x       x       -      -     |    -     -     -    |   -
account.adjust      |   x      x       x       -      -     |    -     -     -    |   -
account.refund      |   x      x       x       -      -     |    -     -     -    |   -
account.reverse     |   x      x       x       -      -     |    -     -     -    |   -
account.remove_card |   x      x       x       -      -     |    x     -     -    |   -
invoices.read       |   x      x       x       x      x     |    x     x     -    |   x
invoices.issue      |   x      x       x       -      -     |    -     -     -    |   -
payments.read       |   x      x       x       x      x     |    x     x     -    |   x
payments.record     |   x      x       x       -      -     |    -     -     -    |   -
transactions.read   |   x      x       x       x      x     |    x     x     -    |   x
usage.record        |   x      x       x       -      -     |    -     -     -    |   -
ledger.read         |   x      x       x       -      -     |    -     -     -    |   -
wallet.read         |   x      x       x       x      x     |    -     -     -    |   -
wallet.top_up       |   x      x       x       -      -     |    -     -     -    |   -
""")
