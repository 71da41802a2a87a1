"""Plain things: addresses, passwords, PINs, mailed tokens, signatures, roles."""
