"""How a service runs: settings, logs, HTTP, transactions, messages, roles. It knows no domain."""
