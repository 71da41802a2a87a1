"""How a service runs: settings, logs, HTTP, transactions, messages, roles. It knows no domain."""

import gc

# The default of 700 scans everything that was loaded several times while a process starts, which is
# a fifth of its start, and again and again while it works.
gc.set_threshold(20_000, 20, 20)
