"""Create hordak's tables and accounts; prints the ids of the customers' accounts, one a line.

The argument is how many. Each is a tree of its own, for which hordak computes balances fastest."""

import sys

import django
from django.core.management import call_command


def main() -> None:
    django.setup()
    call_command("migrate", verbosity=0)

    from hordak.models import Account

    from tests.bench.peers.hordak_app.views import INCOME

    Account.objects.create(name="Income", code=INCOME, type="IN")
    customers = [
        Account(
            name=f"Harbour Clinic {number}",
            code=f"{number:06}",
            type="LI",
            tree_id=1 + number,
            level=0,
            lft=1,
            rght=2,
        )
        for number in range(1, 1 + int(sys.argv[1]))
    ]
    for account in Account.objects.bulk_create(customers):
        print(account.pk)


if __name__ == "__main__":
    main()
