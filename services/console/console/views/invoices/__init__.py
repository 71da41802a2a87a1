"""The invoices and payments of a customer."""

from console.views.invoices import issuing, paying, reading
from console.views.invoices.blueprint import blp

__all__ = ["blp", "issuing", "paying", "reading"]
