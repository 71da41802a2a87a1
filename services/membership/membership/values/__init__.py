"""Values and policies without a database: addresses, passwords, PINs, tokens, roles, limits."""
