"""Payments, their allocation to invoices, and withdrawals."""
