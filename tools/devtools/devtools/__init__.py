"""What development and tests need around the system; no deployment installs it."""
