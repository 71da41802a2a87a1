"""How a service runs: settings, logs, doors, transactions, messages, roles. It knows no domain."""
