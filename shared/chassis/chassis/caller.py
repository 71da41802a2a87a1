"""Who is asking: the verified token, and the decorators by which each route declares who may call
it."""

import base64
import hashlib
import hmac
import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Protocol, TypeVar

from flask import current_app, g, request
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.util import urlsafe_b64decode

from chassis import clock, ids
from chassis.actor import Actor
from chassis.errors import Forbidden, NotFound, Unauthenticated, Unavailable
from chassis.permissions import KEY, Operations

AUDIENCE = "clientele"
ALGORITHM = "Ed25519"
LEEWAY = 30
LONGEST = 4096
LASTS = 3600  # seconds that a token may be good for
MOST_GOOD = 4000
FRESH = 300  # seconds for which a proof of who they are counts
OWN = ("me.", "session.")  # what concerns nobody but the caller
_MISSING = {
    "mfa_required": "Your provider asks for one-time codes. Switch them on: POST /v1/me/totp, then …/confirm."
}
_BEARER = re.compile(r"Bearer +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)", re.IGNORECASE)
_WORDS = ("sub", "org", "kind", "role", "sid")
_AS_THEY_ARE = {"name": str, "scope": str, "mid": str, "missing": str, "must_prove": bool}
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Caller:
    """Somebody with a valid token, in exactly one organization. ``act``: who really acts, and how (``mode``
    login_as or remote_support; ``access`` full or read); ``proved_at``: when they last proved who they are, and
    ``must_prove``: whether dangerous operations want that to be fresh; ``missing``: what they have to do about their
    own login before anything else."""

    sub: str
    organization_id: str
    kind: str
    role: str
    sid: str
    name: str = ""
    scope: frozenset[str] = frozenset()
    act: Mapping[str, Any] | None = None
    proved_at: float = 0.0
    must_prove: bool = False
    missing: str = ""

    @property
    def is_staff(self) -> bool:
        """Whether they work for the provider."""
        return self.kind == "provider"

    def actor(self) -> Actor:
        """How audit rows name them."""
        if self.act:
            return Actor(kind="support", id=self.sub, label=self.name, acting=dict(self.act))
        kind = "staff" if self.is_staff else "member"
        return Actor(kind=KEY if self.role == KEY else kind, id=self.sub, label=self.name)


class Refused(Forbidden):
    """Your role does not allow this. Ask an owner or a manager."""

    code = "forbidden"


class ProofNeeded(Forbidden):
    """Prove again that it is you: POST /v1/me/step-up, then try again with the new access token."""

    code = "step_up_required"


class ReadOnly(Forbidden):
    """This support session may look but not change anything. Ask for one with full access."""

    code = "read_only"


class InvalidToken(Unauthenticated):
    """The access token is missing, expired or not ours. Sign in again."""


class Keys(Protocol):
    """Where the public keys of the issuer come from."""

    def key_set(self, *, fresh: bool = False) -> KeySet:
        """The current keys; ``fresh``: ask the issuer again, but not too often."""
        ...


@dataclass
class RemoteKeys:
    """The issuer's JWKS, fetched at need, kept five minutes, asked again for an unknown key at most
    every 30 s."""

    fetch: Callable[[], dict[str, Any]]
    _keys: KeySet | None = None
    _at: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def key_set(self, *, fresh: bool = False) -> KeySet:
        """The current keys. Raises Unavailable when the issuer can't be asked and none are
        known."""
        with self._lock:
            age = time.monotonic() - self._at
            if self._keys is None or age > 300 or (fresh and age > 30):
                try:
                    self._keys = KeySet.import_key_set(self.fetch())  # type: ignore[arg-type]
                except Exception as problem:
                    if self._keys is None:
                        raise Unavailable(
                            "The issuer's keys can't be had just now. Try again.",
                            code="service_unavailable",
                            retry_after=1,
                        ) from problem
                self._at = time.monotonic()
            return self._keys


@dataclass(frozen=True)
class _Token:
    header: dict[str, Any]
    claims: dict[str, Any]


class Verifier:
    """Checks access tokens: our key, our one algorithm, our audience, in its time, nothing said
    twice, and nothing in the header that we did not put there.

    A signature that was found good once needs no second look as long as the keys are the same; the
    rest does."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self._good: tuple[KeySet | None, dict[str, _Token]] = (None, {})

    def verify(self, token: str) -> dict[str, Any]:
        """The claims. Raises InvalidToken."""
        if len(token) > LONGEST:
            raise InvalidToken()
        for fresh in (False, True):
            try:
                decoded = self._decode(token, self.keys.key_set(fresh=fresh))
                _check_header(decoded.header)
                _check(decoded.claims, clock.now().timestamp())
                return decoded.claims
            except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
                continue
        raise InvalidToken()

    def _decode(self, token: str, keys: KeySet) -> _Token:
        under, good = self._good
        if under is not keys or len(good) >= MOST_GOOD:
            good = {}
            self._good = (keys, good)
        if token not in good:
            jws.deserialize_compact(token, keys, algorithms=[ALGORITHM])
            header, claims, _ = token.split(".")
            good[token] = _Token(_read(header), _read(claims))
        return good[token]


def _read(part: str) -> Any:
    """The JSON in a part of a token, which may be read in one way only."""
    text = urlsafe_b64decode(part.encode()).decode()
    return json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _check_header(header: Mapping[str, Any]) -> None:
    if header.keys() != {"alg", "typ", "kid"} or header["typ"] != "at+jwt":
        raise ValueError


def _check(claims: Mapping[str, Any], now: float) -> None:
    issued, begins, ends = (claims[name] for name in ("iat", "nbf", "exp"))
    sound = (
        claims["iss"] == AUDIENCE
        and claims["aud"] == AUDIENCE
        and all(
            type(time) in (int, float) for time in (issued, begins, ends, claims.get("proved", 0))
        )
        and issued <= now + LEEWAY
        and begins <= now + LEEWAY
        and now - LEEWAY < ends <= issued + LASTS
        and 0 <= claims.get("proved", 0) <= now + LEEWAY
        and all(isinstance(claims[name], str) and claims[name] for name in _WORDS)
        and all(isinstance(claims.get(name, kind()), kind) for name, kind in _AS_THEY_ARE.items())
        and claims["kind"] in ("provider", "customer")
        and ids.is_id("org", claims["org"])
    )
    if not sound or ("act" in claims and not _is_act(claims)):
        raise ValueError


def _is_act(claims: Mapping[str, Any]) -> bool:
    """Nobody acts through somebody who acts, no API key does, and whoever acts is named, and
    how."""
    act = claims["act"]
    return (
        isinstance(act, dict)
        and "act" not in act
        and claims["role"] != KEY
        and all(isinstance(act.get(name), str) and act[name] for name in ("sub", "org", "sid"))
        and act.get("mode") in ("login_as", "remote_support")
        and act.get("access") in ("full", "read")
    )


def caller_of(claims: Mapping[str, Any]) -> Caller:
    """The caller that a token's claims describe."""
    return Caller(
        sub=claims["sub"],
        organization_id=claims["org"],
        kind=claims["kind"],
        role=claims["role"],
        sid=claims["sid"],
        name=claims.get("name", ""),
        scope=frozenset(claims.get("scope", "").split()),
        act=claims.get("act"),
        proved_at=float(claims.get("proved", 0)),
        must_prove=claims.get("must_prove", False),
        missing=claims.get("missing", ""),
    )


@dataclass(frozen=True)
class Door:
    """What the decorators need of a service. ``provider_of``: an organization's provider, None if
    there is no such organization; ``denied``: told of every refusal for want of permission."""

    operations: Operations
    verifier: Verifier
    provider_of: Callable[[str], str | None]
    internal_callers: Mapping[str, str]
    denied: Callable[[Caller, str, str], None] = lambda caller, operation, organization: None


def the_caller() -> Caller:
    """The caller of this request, once ``requires`` has let them in."""
    caller: Caller = g.caller
    return caller


def visitor() -> Caller | None:
    """Whoever calls an open route with a good token all the same; None for everybody else."""
    try:
        return _authenticate()
    except (Unauthenticated, Unavailable):
        return None


def requires(operation: str) -> Callable[[F], F]:
    """The route does ``operation``: authentication, then existence for the caller, then permission,
    in this order.

    The organization is the path's ``organization_id``, or the caller's own where the path has none.
    """

    def decorate(view: F) -> F:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            g.caller = caller = _authenticate()
            organization_id = kwargs.get("organization_id", caller.organization_id)
            check_existence(organization_id)
            permit(operation, organization_id)
            try:
                return view(*args, **kwargs)
            except (
                Forbidden
            ) as refusal:  # by what only the action knew: whom they may reach, whose turn it is
                if not g.get("denied") and refusal.code != ProofNeeded.code:
                    _door().denied(caller, operation, organization_id)
                raise

        guarded.operation = operation  # type: ignore[attr-defined]
        return guarded  # type: ignore[return-value]

    return decorate


def permit(operation: str, organization_id: str) -> None:
    """Let the caller of this request do ``operation``, for what only the body shows to be one.

    Raises Refused, ReadOnly, ProofNeeded, or Forbidden with what their login lacks; a refusal for
    want of permission is told to the door."""
    caller, door = the_caller(), _door()
    acting = caller.act is not None
    if not door.operations.allows(
        operation, kind=caller.kind, role=caller.role, acting=acting, scope=caller.scope
    ):
        _deny(caller, operation, organization_id)
        raise Refused()
    if caller.missing and not operation.startswith(OWN):
        raise Forbidden(_MISSING.get(caller.missing, ""), code=caller.missing)
    looks_only = caller.act is not None and caller.act["access"] == "read"
    if looks_only and request.method not in ("GET", "HEAD") and not operation.startswith(OWN):
        _deny(caller, operation, organization_id)
        raise ReadOnly()
    proved = clock.now().timestamp() - caller.proved_at <= FRESH
    if (
        caller.must_prove
        and not proved
        and door.operations.wants_proof(operation, kind=caller.kind, role=caller.role)
    ):
        raise ProofNeeded()


def _deny(caller: Caller, operation: str, organization_id: str) -> None:
    g.denied = True
    _door().denied(caller, operation, organization_id)


def public(view: F) -> F:
    """The route is open to everybody; it must stand on the short list of the house test."""
    view.operation = "public"  # type: ignore[attr-defined]
    return view


def internal(*services: str) -> Callable[[F], F]:
    """The route is for these services only, each with its own secret (HTTP Basic). The gateway
    never routes it."""

    def decorate(view: F) -> F:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            name, secret = _basic(request.headers.get("Authorization", ""))
            expected = _door().internal_callers.get(name, "")
            given = hashlib.sha256(secret.encode()).hexdigest()
            if name not in services or not hmac.compare_digest(expected, given):
                raise Unauthenticated("This is for other services only.", code="internal_only")
            return view(*args, **kwargs)

        guarded.operation = "internal"  # type: ignore[attr-defined]
        return guarded  # type: ignore[return-value]

    return decorate


def parse_callers(text: str) -> dict[str, str]:
    """``org=<sha256 hex>,gateway=<sha256 hex>`` as a mapping."""
    pairs = (pair.partition("=") for pair in text.split(",") if pair.strip())
    return {name.strip(): digest.strip() for name, _, digest in pairs}


def bearer(header: str) -> str:
    """The token in an Authorization header. Raises InvalidToken."""
    found = _BEARER.fullmatch(header)
    if not found:
        raise InvalidToken()
    return found[1]


def _door() -> Door:
    door: Door = current_app.extensions["door"]
    return door


def _authenticate() -> Caller:
    return caller_of(_door().verifier.verify(bearer(request.headers.get("Authorization", ""))))


def check_existence(organization_id: str) -> None:
    """Whether this organization exists for the caller of this request. Raises NotFound."""
    caller = the_caller()
    if organization_id == caller.organization_id:
        return
    asked_well = caller.is_staff and ids.is_id("org", organization_id)
    if asked_well and _door().provider_of(organization_id) == caller.organization_id:
        return
    raise NotFound("There is no such organization.", code="not_found")


def _basic(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    try:
        name, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return (name, secret) if scheme.lower() == "basic" else ("", "")
