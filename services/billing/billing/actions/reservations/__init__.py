"""Holding credits, capturing and releasing them."""
