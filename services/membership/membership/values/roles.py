"""Roles as tokens carry them, and what each may do in words an outside program understands."""

OWNER, ADMIN, MEMBER = "owner", "admin", "member"
PRESETS = ("viewer", "support", "billing", "manager")

_READ_STAFF = ("cust:list", "cust:read", "pay:read", "audit:read", "report:read")
_CHARGE = ("pay:adjust", "pay:charge", "usage:write")
_CARE = ("cust:write", "member:manage", "support:enter")
_MANAGE = (
    "org:create",
    "org:suspend",
    "org:delete",
    "owner:transfer",
    *_CHARGE,
    "pay:withdraw",
    "login_as:act",
    "audit:export",
    "pin:verify",
)
_READ = (
    "org:read",
    "members:read",
    "credits:read",
    "credits:topup",
    "invoices:read",
    "subs:read",
    "audit:read",
)
_PEOPLE = (
    "members:invite",
    "members:edit",
    "members:remove",
    "pin:reset",
    "subs:buy",
    "subs:assign",
    "support:consent",
    "support:revoke",
)
_OWN = ("org:write", "members:role", "owner:transfer", "billing:write", "pin:verify")
_SCOPES = {
    "provider": {
        "viewer": _READ_STAFF,
        "support": _READ_STAFF + _CARE,
        "billing": (*_READ_STAFF, *_CHARGE),
        "manager": _READ_STAFF + _CARE + _MANAGE,
        "owner": _READ_STAFF + _CARE + _MANAGE,
    },
    "customer": {
        "member": ("org:read", "subs:read"),
        "admin": _READ + _PEOPLE,
        "owner": _READ + _PEOPLE + _OWN,
    },
}

# What there is an operation for: the scopes that the services' tables name.
_OF_KEYS = {
    "provider": frozenset(
        (
            "org:create",
            "org:suspend",
            "org:delete",
            "cust:list",
            "cust:read",
            "cust:write",
            "audit:read",
            "pay:read",
            "pay:adjust",
            "pay:charge",
            "pay:withdraw",
            "usage:write",
            "member:manage",
            "pin:verify",
        )
    ),
    "customer": frozenset(
        (
            "org:read",
            "org:write",
            "audit:read",
            "credits:read",
            "invoices:read",
            "billing:write",
            "members:read",
            "members:invite",
            "members:edit",
            "members:remove",
            "pin:reset",
            "pin:verify",
        )
    ),
}


# What support may not do in a customer's place, so that its tokens do not claim it either.
_NOT_INSIDE = frozenset(_PEOPLE) - {"members:edit", "subs:buy", "subs:assign"} | {
    "audit:read",
    "billing:write",
    "members:role",
    "owner:transfer",
    "pin:verify",
}


def in_token(kind: str, role: str, preset: str | None) -> str:
    """The role a token names: customers' people have theirs, the provider's staff theirs or their
    preset."""
    if kind == "customer" or role == OWNER:
        return role
    return "manager" if role == ADMIN else preset or "viewer"


def scopes(kind: str, token_role: str) -> tuple[str, ...]:
    """What a token of this role is good for."""
    return _SCOPES[kind][token_role]


def key_scopes(kind: str) -> frozenset[str]:
    """What an API key of such an organization can be good for."""
    return _OF_KEYS[kind]


def scopes_inside(role: str, *, reads_only: bool) -> tuple[str, ...]:
    """What a token of staff in a customer's place is good for: what somebody of this role is there,
    but for what support may not do."""
    held = (scope for scope in scopes("customer", role) if scope not in _NOT_INSIDE)
    return tuple(scope for scope in held if not reads_only or scope.endswith(":read"))
