"""The scopes of API keys, with their labels, and why a key is suspended."""

from collections.abc import Mapping

SCOPES: Mapping[str, str] = {
    "org:create": "Create organizations",
    "org:suspend": "Suspend and activate organizations",
    "org:delete": "Delete organizations",
    "org:read": "Read the organization",
    "org:write": "Change the organization",
    "cust:list": "List customers",
    "cust:read": "Read customers and their members",
    "cust:write": "Change customers",
    "audit:read": "Read the audit log",
    "pay:read": "Read accounts, invoices and payments",
    "pay:adjust": "Top up, record payments, adjust",
    "pay:charge": "Charge and reserve",
    "pay:withdraw": "Withdraw and refund",
    "usage:write": "Report usage",
    "member:manage": "Manage customers' members",
    "credits:read": "Read credits",
    "invoices:read": "Read invoices and payments",
    "billing:write": "Change billing data",
    "members:read": "Read members",
    "members:invite": "Add members",
    "members:edit": "Change members",
    "members:remove": "Remove members",
    "pin:reset": "Reset PINs",
    "pin:verify": "Check PINs",
}

SUSPENSION_REASONS: Mapping[str, str] = {
    "maker_left": "its creator has left",
    "maker_disabled": "its creator is disabled",
    "maker_lacks_scope": "its creator lost a permission",
}
