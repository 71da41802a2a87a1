"""How many mails with links are sent."""

from datetime import timedelta

from membership.values.attempt_limits import Limit, Limits

PAUSE = timedelta(seconds=60)  # between two links for the same member
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TO_MEMBER = Limit(6, DAY)  # the first and five more
TO_ADDRESS = Limit(10, DAY)  # whoever sends them, from wherever
BY_INVITER = Limit(20, HOUR)
BY_ORGANIZATION = Limit(200, DAY)
RESETS = Limit(3, HOUR)
RENEWALS = Limit(1, DAY)


def of_resets(client: bytes) -> Limits:
    """What holds for new passwords asked for from one network, whoever they are for."""
    return {f"reset 1h {client.hex()}": Limit(10, HOUR)}
