"""Forged access tokens: one table, for every endpoint."""

from tests.identity.forgeries.claims import contents, people, shapes, words
from tests.identity.forgeries.envelopes import broken, headers, keys, signatures
from tests.identity.forgeries.mint import Attack


def attacks() -> dict[str, Attack]:
    """Every one, by a name that says what it is."""
    made: dict[str, Attack] = {}
    for kind in (signatures, keys, broken, headers, shapes, contents, words, people):
        for name, attack in kind():
            assert name not in made, name
            made[name] = attack
    return made


ATTACKS = attacks()
