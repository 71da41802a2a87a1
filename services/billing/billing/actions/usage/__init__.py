"""Usage records, in batches."""
