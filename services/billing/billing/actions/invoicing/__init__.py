"""Invoices, credit notes and the monthly billing run."""
