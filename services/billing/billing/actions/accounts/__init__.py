"""Accounts, providers and their wallets, and who is notified of what."""
