"""Roles as tokens name them, and the OAuth scopes of each."""

OWNER, ADMIN, MEMBER = "owner", "admin", "member"
PRESETS = ("viewer", "support", "billing", "manager")

_READ_STAFF = ("cust:list", "cust:read", "pay:read", "audit:read", "report:read")
_CHARGE = ("pay:adjust", "pay:charge", "usage:write")
_CUSTOMERS = ("cust:write", "member:manage", "support:enter")
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
_READ_CUSTOMER = (
    "org:read",
    "members:read",
    "credits:read",
    "credits:topup",
    "invoices:read",
    "subs:read",
    "audit:read",
)
_MEMBERS = (
    "members:invite",
    "members:edit",
    "members:remove",
    "pin:reset",
    "subs:buy",
    "subs:assign",
    "support:consent",
    "support:revoke",
)
_OWNER_ONLY = ("org:write", "members:role", "owner:transfer", "billing:write", "pin:verify")
_SCOPES = {
    "provider": {
        "viewer": _READ_STAFF,
        "support": _READ_STAFF + _CUSTOMERS,
        "billing": (*_READ_STAFF, *_CHARGE),
        "manager": _READ_STAFF + _CUSTOMERS + _MANAGE,
        "owner": _READ_STAFF + _CUSTOMERS + _MANAGE,
    },
    "customer": {
        "member": ("org:read", "subs:read"),
        "admin": _READ_CUSTOMER + _MEMBERS,
        "owner": _READ_CUSTOMER + _MEMBERS + _OWNER_ONLY,
    },
}

# The scopes that keys can have: those named in the permission tables of the services.
_KEY_SCOPES = {
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


# Support may not do these in a customer's organization, so its tokens do not have the scopes.
_NOT_FOR_SUPPORT = frozenset(_MEMBERS) - {"members:edit", "subs:buy", "subs:assign"} | {
    "audit:read",
    "billing:write",
    "members:role",
    "owner:transfer",
    "pin:verify",
}


def in_token(kind: str, role: str, preset: str | None) -> str:
    """The role in a token: the member's role, or the preset of the provider's staff."""
    if kind == "customer" or role == OWNER:
        return role
    if role == ADMIN:
        return "manager"
    return preset or "viewer"


def scopes(kind: str, token_role: str) -> tuple[str, ...]:
    """The scopes of a token with this role."""
    return _SCOPES[kind][token_role]


def key_scopes(kind: str) -> frozenset[str]:
    """The scopes that an API key of this kind of organization can have."""
    return _KEY_SCOPES[kind]


def grantable(kind: str, token_role: str) -> frozenset[str]:
    """The scopes that an API key can have whose maker has this role."""
    return key_scopes(kind).intersection(scopes(kind, token_role))


def scopes_for_support(role: str, *, reads_only: bool) -> tuple[str, ...]:
    """The scopes of support in a customer's organization: those of this role, except what support
    may not do."""
    allowed = [scope for scope in scopes("customer", role) if scope not in _NOT_FOR_SUPPORT]
    if reads_only:
        allowed = [scope for scope in allowed if scope.endswith(":read")]
    return tuple(allowed)
