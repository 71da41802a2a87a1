"""Who may do what. ``x`` may, ``-`` may not; customers reach their own organization only."""

from chassis.permissions import Operations

OPERATIONS = Operations.parse("""
#                              provider's staff                         customer's people     acting
#                            | owner manager billing support viewer  |  owner admin member |  for somebody
organization.create          |   x      x       -       -      -     |    -     -     -    |   -
organization.list            |   x      x       x       x      x     |    x     x     x    |   x
organization.read            |   x      x       x       x      x     |    x     x     x    |   x
organization.change          |   x      x       x       x      -     |    x     -     -    |   x
organization.suspend         |   x      x       -       -      -     |    -     -     -    |   -
organization.activate        |   x      x       -       -      -     |    -     -     -    |   -
organization.deletion_check  |   x      x       x       x      x     |    -     -     -    |   -
organization.delete          |   x      x       -       -      -     |    -     -     -    |   -
organization.deletion_read   |   x      x       x       x      x     |    x     x     -    |   -
timeline.read                |   x      x       x       x      x     |    x     x     -    |   -
audit.read                   |   x      x       x       x      x     |    x     x     -    |   -
settings.read                |   x      x       x       x      x     |    -     -     -    |   -
settings.change              |   x      x       -       -      -     |    -     -     -    |   -
""")
