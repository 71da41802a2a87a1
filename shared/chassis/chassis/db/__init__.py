"""The database: engine and transactions, column types, migrations."""
