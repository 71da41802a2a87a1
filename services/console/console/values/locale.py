"""Countries, currencies and time zones."""

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from babel import Locale
from babel.core import get_global
from babel.numbers import get_territory_currencies

from console.values import labels

_NEWER = {"BG": "EUR"}  # changed after the tables of Babel were made


@cache
def countries() -> tuple[tuple[str, str], ...]:
    """Code and name of each country, by name."""
    return tuple(labels.countries().items())


def name(country: str) -> str:
    """A country as people read it: ``Germany (DE)``."""
    label = dict(countries()).get(country)
    return f"{label} ({country})" if label else country


def currency_of(country: str) -> str:
    """The currency of a country; empty if unknown."""
    known = get_territory_currencies(country) if country in dict(countries()) else []
    return _NEWER.get(country) or (str(known[0]) if known else "")


def zones_of(country: str) -> tuple[str, ...]:
    """The time zones of a country, by name; none if it is unknown."""
    return _zones_by_country().get(country, ())


@cache
def _zones_by_country() -> dict[str, tuple[str, ...]]:
    known = available_timezones()  # opens hundreds of files
    zones = get_global("territory_zones")
    return {country: tuple(sorted(known & set(names))) for country, names in zones.items()}


def zone_of(country: str) -> str:
    """The time zone of a country, if all its zones keep the same time; empty otherwise."""
    year = datetime.now(UTC).year
    known = zones_of(country)
    times = {_offsets(zone, year) for zone in known}
    return known[0] if len(times) == 1 else ""


def _offsets(zone: str, year: int) -> tuple[timedelta | None, ...]:
    """In winter and in summer."""
    return tuple(datetime(year, month, 1, tzinfo=ZoneInfo(zone)).utcoffset() for month in (1, 7))


@cache
def currencies() -> tuple[tuple[str, str], ...]:
    """Code, and code with name, of each currency in use, by code."""
    names = Locale("en").currencies
    used = {currency_of(code) for code, _ in countries()} - {""}
    return tuple((code, f"{code} – {names.get(code, code)}") for code in sorted(used))


def zones(country: str = "") -> tuple[tuple[str, str], ...]:
    """Name and label of each time zone, those of the country first if it is known."""
    return _zones_from(country if zones_of(country) else "")


@cache
def _zones_from(country: str) -> tuple[tuple[str, str], ...]:
    own = zones_of(country)
    rest = sorted({zone for code, _ in countries() for zone in zones_of(code)} - set(own))
    return tuple((zone, zone.replace("_", " ")) for zone in (*own, *rest, "UTC"))
