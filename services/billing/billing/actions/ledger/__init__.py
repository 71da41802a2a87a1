"""Posting to the journal."""
