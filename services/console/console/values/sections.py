"""The sections of a customer, and all shortcuts: one table for menus, pages and the help.

The script clicks the element with the pressed keys as ``data-key``; it handles ``j``, ``k``, ``v``,
Esc and Ctrl K itself."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """A section. ``endpoint``: its page; ``operation``: what is needed to see it; ``letter``: the
    key after g; ``areas``: further blueprints whose pages belong to it."""

    endpoint: str
    label: str
    operation: str
    letter: str
    areas: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The keys that open it."""
        return f"g {self.letter}"

    def holds(self, endpoint: str) -> bool:
        """Whether a page belongs to this section."""
        area = endpoint.partition(".")[0]
        return area in (self.endpoint.partition(".")[0], *self.areas)


SECTIONS = (
    Section("overview.show", "Overview", "organization.read", "o"),
    Section("payment.show", "Payment", "account.read", "p"),
    Section("transactions.show", "Transactions", "transactions.read", "t"),
    Section("invoices.show", "Invoices", "invoices.read", "i"),
    Section("members.show", "Members", "member.list", "m", ("ownership", "support_sessions")),
    Section("support.show", "Remote Support", "support.read", "r"),
    Section("audit.show", "Audit log", "audit.read", "a"),
    Section("settings.show", "Settings", "organization.read", "e", ("deletion",)),
)

# where -> keys and what they do
SHORTCUTS = {
    "Anywhere": (
        ("g h", "Home"),
        ("g c", "Customers"),
        ("/", "Search customers"),
        ("Ctrl K", "Go to a page or a customer"),
        ("?", "Show this help"),
        ("Esc", "Close or cancel"),
    ),
    "In a list": (
        ("j", "Next row"),
        ("k", "Previous row"),
        ("Enter", "Open the row"),
        ("v", "Open the row's menu"),
        ("n", "Create organization"),
    ),
    "On a customer's page or a list row": tuple(
        (section.key, section.label) for section in SECTIONS
    ),
}
