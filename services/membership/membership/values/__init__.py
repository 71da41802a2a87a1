"""Values and policies without a database: passwords, PINs, tokens, roles, limits."""
