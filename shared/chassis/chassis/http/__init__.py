"""HTTP at the edge: requests, problems, paging, ETags, idempotency and calls to other services."""
