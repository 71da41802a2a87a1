"""Authentication and authorization: tokens, callers, permissions, internal callers."""
