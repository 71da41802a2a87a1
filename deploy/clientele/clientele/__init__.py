"""Starts the whole system on one machine, and tells its story."""
