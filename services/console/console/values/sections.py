"""The sections of a customer, and every shortcut: one table for menus, pages, the key handler and its help."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """An item of View. ``endpoint``: its page; ``operation``: what one must be allowed to see it; ``key``: after g."""

    endpoint: str
    label: str
    operation: str
    key: str


SECTIONS = (
    Section("overview.show", "Overview", "organization.read", "o"),
    Section("payment.show", "Payment", "account.read", "p"),
    Section("transactions.show", "Transactions", "transactions.read", "t"),
    Section("invoices.show", "Invoices", "invoices.read", "i"),
    Section("members.show", "Members", "member.list", "m"),
    Section("support.show", "Remote Support", "support.read", "r"),
    Section("audit.show", "Audit", "audit.read", "a"),
    Section("settings.show", "Settings", "organization.read", "e"),
)

# keys -> what it does; the first column is what the handler matches.
SHORTCUTS = (
    ("/", "Search"),
    ("?", "This help"),
    ("g h", "Home"),
    ("g c", "Customers"),
    ("n", "Create organization, on the list"),
    ("j", "Next row"),
    ("k", "Previous row"),
    ("Enter", "Open the row"),
    ("v", "Sections of the row"),
    ("Esc", "Close"),
    *((f"g {section.key}", f"{section.label} of the customer") for section in SECTIONS),
)
